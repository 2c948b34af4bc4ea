//! Many hosts asked at once, of which one that is slow holds no other.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

/// For all of them.
pub const MOST: Duration = Duration::from_secs(15);
/// Once one has answered, the others have this long at least, and four times as long as it took.
const GRACE: Duration = Duration::from_secs(3);
/// What was waited for in vain a moment ago has this long once the others have answered.
const RESPITE: Duration = Duration::from_millis(250);
/// Of hosts any of which would do: when the next is asked, too, whatever the first shows of itself; twice as long each time.
const HEDGE: Duration = Duration::from_secs(2);

/// What each has answered, in their order; none of whom was not waited for. `in_vain`: who has just been, and holds nobody again.
pub async fn gather<T: Send + 'static>(
    work: Vec<impl Future<Output = T> + Send + 'static>,
    is_answer: impl Fn(&T) -> bool,
    in_vain: &[bool],
) -> Vec<Option<T>> {
    let began = Instant::now();
    let mut limit = began + MOST;
    let mut answers: Vec<Option<T>> = work.iter().map(|_| None).collect();
    let is_waited_for = |place: usize| !in_vain.get(place).copied().unwrap_or(false);
    let mut waited_for = (0..work.len()).filter(|place| is_waited_for(*place)).count();
    if waited_for == 0 {
        limit = began + RESPITE;
    }
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
        if is_waited_for(place) {
            waited_for -= 1;
            if waited_for == 0 {
                limit = limit.min(Instant::now() + RESPITE);
            }
        }
        answers[place] = Some(answer);
    }
    answers
}

/// The first answer of hosts that would all give the same; the others are dropped. The next is asked when one fails, takes its
/// time, or `falls_silent`: told of its turn, that ends when it has.
///
/// The word of who was asked earlier counts more: another's no is the answer only when none of those is still asked.
pub async fn first<T: Send + 'static, E: Send + 'static, S: Future<Output = ()>>(
    work: Vec<impl Future<Output = Result<T, E>> + Send + 'static>,
    is_no: impl Fn(&T) -> bool,
    falls_silent: impl Fn(usize) -> S,
) -> Option<Result<T, E>> {
    let mut asked = JoinSet::new();
    let mut waiting = work.into_iter().enumerate();
    let mut open = BTreeSet::new();
    let (mut failed, mut refused) = (None, None::<(usize, T)>);
    while let Some((turn, next)) = waiting.next() {
        open.insert(turn);
        asked.spawn(async move { (turn, next.await) });
        let is_last = waiting.len() == 0;
        let late = async {
            let most = HEDGE.saturating_mul(1 << turn.min(10));
            let _ = tokio::time::timeout(most, falls_silent(turn)).await;
        };
        tokio::pin!(late);
        loop {
            let answered = tokio::select! {
                biased;
                answered = asked.join_next() => answered,
                () = &mut late, if !is_last => break,
            };
            let mut has_failed = false;
            match answered {
                Some(Ok((turn, Ok(answer)))) => {
                    open.remove(&turn);
                    if !is_no(&answer) {
                        return Some(Ok(answer));
                    }
                    if refused.as_ref().is_none_or(|(known, _)| turn < *known) {
                        refused = Some((turn, answer));
                    }
                }
                Some(Ok((turn, Err(error)))) => {
                    open.remove(&turn);
                    failed = failed.or(Some(error));
                    has_failed = true;
                }
                Some(Err(_)) => has_failed = true,
                None => break,
            }
            if let Some((turn, answer)) = refused.take() {
                match open.range(..turn).next() {
                    None => return Some(Ok(answer)),
                    Some(_) => refused = Some((turn, answer)),
                }
            }
            if has_failed && !is_last {
                break;
            }
        }
    }
    match refused {
        Some((_, answer)) => Some(Ok(answer)),
        None => failed.map(Err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(seconds: f64, answer: Result<u32, u32>) -> Result<u32, u32> {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        answer
    }

    async fn heard(
        work: Vec<impl Future<Output = Result<u32, u32>> + Send + 'static>,
    ) -> Option<Result<u32, u32>> {
        first(work, |answer| *answer >= 100, |_| std::future::pending()).await
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_waited_for_in_vain_holds_nobody_again() {
        for (others, most) in [(0.1, 0.5), (2.0, 2.5)] {
            let began = Instant::now();
            let work = vec![after(others, Ok(1)), after(9e9, Ok(2)), after(0.0, Ok(3))];
            assert_eq!(
                gather(work, Result::is_ok, &[false, true, true]).await,
                [Some(Ok(1)), None, Some(Ok(3))]
            );
            assert!(began.elapsed() < Duration::from_secs_f64(most), "{:?}", began.elapsed());
        }
        let began = Instant::now();
        assert_eq!(gather(vec![after(9e9, Ok(1))], Result::is_ok, &[true]).await, [None]);
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_silent_has_the_next_asked_and_a_later_ones_no_is_not_the_earlier_ones_word() {
        let silent = |turn| tokio::time::sleep(Duration::from_millis(500_u64 << turn));
        let is_no = |answer: &u32| *answer >= 100;
        let began = Instant::now();
        let work = vec![after(9e9, Ok(1)), after(0.1, Ok(2)), after(0.0, Ok(3))];
        assert_eq!(first(work, is_no, silent).await, Some(Ok(2)));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        for (work, answer) in [
            // Slow, and then right; slow, and refuses; and where it fails, the other's no is the word.
            (vec![after(8.0, Ok(1)), after(0.1, Ok(100))], Ok(1)),
            (vec![after(8.0, Ok(100)), after(0.1, Ok(101))], Ok(100)),
            (vec![after(8.0, Err(1)), after(0.1, Ok(100))], Ok(100)),
            // The first one's no is one at once, and nobody else is asked.
            (vec![after(0.1, Ok(100)), after(0.0, Ok(2))], Ok(100)),
            // All are slow.
            (vec![after(60.0, Ok(1)), after(90.0, Ok(2))], Ok(1)),
        ] {
            assert_eq!(first(work, is_no, silent).await, Some(answer));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_left_behind_and_one_that_fails_gives_nobody_less_time() {
        let began = Instant::now();
        let work = vec![after(0.1, Ok(1)), after(9e9, Ok(2)), after(0.0, Err(3)), after(2.0, Ok(4))];
        let answers = gather(work, Result::is_ok, &[]).await;
        assert_eq!(answers, [Some(Ok(1)), None, Some(Err(3)), Some(Ok(4))]);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
        // Where nobody answers, all have the whole time.
        let began = Instant::now();
        assert_eq!(gather(vec![after(9e9, Ok(1))], Result::is_ok, &[]).await, [None]);
        assert_eq!(began.elapsed(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn of_those_that_would_all_do_the_next_is_asked_when_one_fails_or_takes_its_time() {
        let began = Instant::now();
        assert_eq!(heard(vec![after(0.1, Err(1)), after(0.1, Ok(2))]).await, Some(Ok(2)));
        assert!(began.elapsed() < Duration::from_secs(1));
        assert_eq!(heard(vec![after(9e9, Ok(1)), after(0.1, Ok(2))]).await, Some(Ok(2)));
        assert!(began.elapsed() < Duration::from_secs(4));
        assert_eq!(heard(vec![after(0.1, Err(1)), after(0.1, Err(2))]).await, Some(Err(1)));
    }
}
