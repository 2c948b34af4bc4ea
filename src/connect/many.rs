//! Many hosts asked at once, of which one that is slow holds no other.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// For all of them.
pub const MOST: Duration = Duration::from_secs(15);
/// Once one has answered, the others have this long at least, and four times as long as it took.
const GRACE: Duration = Duration::from_secs(3);
/// Of hosts any of which would do: when the next is asked, too.
const HEDGE: Duration = Duration::from_secs(2);

/// What each has answered, in their order; none of whom was not waited for.
pub async fn gather<T: Send + 'static>(
    work: Vec<impl Future<Output = T> + Send + 'static>,
    is_answer: impl Fn(&T) -> bool,
) -> Vec<Option<T>> {
    let began = Instant::now();
    let mut limit = began + MOST;
    let mut answers: Vec<Option<T>> = work.iter().map(|_| None).collect();
    let mut asked = JoinSet::new();
    for (place, work) in work.into_iter().enumerate() {
        asked.spawn(async move { (place, work.await) });
    }
    while let Ok(Some(answered)) = tokio::time::timeout_at(limit, asked.join_next()).await {
        let Ok((place, answer)) = answered else { continue };
        if is_answer(&answer) {
            let grace = (began.elapsed() * 4).max(GRACE);
            limit = limit.min(Instant::now() + grace);
        }
        answers[place] = Some(answer);
    }
    answers
}

/// The first answer of hosts that would all give the same. The next is asked when one fails or takes its time.
pub async fn first<T: Send + 'static, E: Send + 'static>(
    work: Vec<impl Future<Output = Result<T, E>> + Send + 'static>,
) -> Option<Result<T, E>> {
    let mut asked = JoinSet::new();
    let mut waiting = work.into_iter();
    let mut failed = None;
    loop {
        let next = waiting.next();
        let is_last = next.is_none();
        next.map(|next| asked.spawn(next));
        let answered = match is_last {
            true => asked.join_next().await,
            false => match tokio::time::timeout(HEDGE, asked.join_next()).await {
                Ok(answered) => answered,
                Err(_) => continue,
            },
        };
        match answered {
            Some(Ok(Ok(answer))) => return Some(Ok(answer)),
            Some(Ok(Err(error))) => failed = failed.or(Some(error)),
            Some(Err(_)) => {}
            None => return failed.map(Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(seconds: f64, answer: Result<u32, u32>) -> Result<u32, u32> {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        answer
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_left_behind_and_one_that_fails_gives_nobody_less_time() {
        let began = Instant::now();
        let work = vec![after(0.1, Ok(1)), after(9e9, Ok(2)), after(0.0, Err(3)), after(2.0, Ok(4))];
        let answers = gather(work, Result::is_ok).await;
        assert_eq!(answers, [Some(Ok(1)), None, Some(Err(3)), Some(Ok(4))]);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        // Where nobody answers, all have the whole time.
        let began = Instant::now();
        assert_eq!(gather(vec![after(9e9, Ok(1))], Result::is_ok).await, [None]);
        assert_eq!(began.elapsed(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn of_those_that_would_all_do_the_next_is_asked_when_one_fails_or_takes_its_time() {
        let began = Instant::now();
        assert_eq!(first(vec![after(0.1, Err(1)), after(0.1, Ok(2))]).await, Some(Ok(2)));
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(first(vec![after(9e9, Ok(1)), after(0.1, Ok(2))]).await, Some(Ok(2)));
        assert!(began.elapsed() < Duration::from_secs(4));
        assert_eq!(first(vec![after(0.1, Err(1)), after(0.1, Err(2))]).await, Some(Err(1)));
    }
}
