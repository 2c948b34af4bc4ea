//! The client: which daemon is asked, as whom, how long, and how often.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::address::{Address, AddressError};
use super::answer::{self, Accepted, Answer};
use super::call::{Call, Once, Read, Rehearsal, Write};
use super::circuit::Patience;
use super::connection::{Broken, Raw, Unconnected};
use super::daemon::{Asker, Daemon, Unanswered};
use super::error::PveError;
use super::local::Local;
use super::pool::Keep;
use super::sink::{Overfull, Room, Sink, Text};
use super::tls::PinFile;
use super::token::{TokenError, TokenFile};
use crate::account::Account;
use crate::config;
use crate::http::Method;
use crate::product::Product;
use crate::share::Supply;

/// What a handle can ask at all; the rest is refused before anything is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Methods {
    Reads,
    NoDelete,
    All,
}

impl Methods {
    fn allow(self, method: Method) -> bool {
        match method {
            Method::Get => true,
            Method::Post | Method::Put => self >= Self::NoDelete,
            Method::Delete => self == Self::All,
        }
    }
}

impl fmt::Display for Methods {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Reads => "can only read",
            Self::NoDelete => "cannot delete",
            Self::All => "can do all",
        })
    }
}

/// Numbers of the client; the default is for a real node.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The whole of a call, tries included, unless the call says otherwise.
    pub call: Duration,
    pub connect: Duration,
    /// A wait without an answer from which on a daemon is asked whether it is there at all: pveproxy, and pvedaemon, in
    /// whose place pveproxy can be asked. As long again it has for the answer to that. Both together are longer than the three
    /// seconds after which PVE refuses a token, this question's too: a token that has run out is no daemon that is dead.
    pub hang: Duration,
    pub hang_of_daemon: Duration,
    /// Calls that one daemon is asked at once, of which one account has three quarters at most; and those that may wait for
    /// their turn, of which it has half.
    pub parallel: usize,
    pub queue: usize,
    /// Bytes of one answer that are held at once: of a list that is taken row by row, those of the rows that are kept.
    pub answer: usize,
    /// Bytes of all answers that are held at once; one account may have half of them.
    pub answers: usize,
    /// Times that a read, or a write of which nothing left, is tried again.
    pub retries: u32,
    /// Before the first of these; it doubles, and varies by half.
    pub backoff: Duration,
    /// How long a `pvedaemon` that nobody listens for, or that answers nobody, is not asked.
    pub away: Duration,
    pub keep: Keep,
    pub patience: Patience,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(30),
            connect: Duration::from_secs(2),
            hang: Duration::from_secs(5),
            hang_of_daemon: Duration::from_secs(2),
            parallel: 16,
            queue: 4096,
            answer: 16 << 20,
            answers: 64 << 20,
            retries: 3,
            backoff: Duration::from_millis(50),
            away: Duration::from_secs(10),
            keep: Keep::default(),
            patience: Patience::default(),
        }
    }
}

/// `[pve]`, and what is not for the operator to set.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose API it is: how it is told who asks, and how it says no.
    pub product: Product,
    pub url: String,
    /// "" turns pvedaemon off.
    pub daemon: String,
    pub token: PathBuf,
    pub certificate: PathBuf,
    pub etc_pve: PathBuf,
    /// This node's name; None to find it out.
    pub node: Option<String>,
    pub limits: Limits,
}

impl From<&config::Pve> for Options {
    fn from(pve: &config::Pve) -> Self {
        Self {
            product: pve.product(),
            url: pve.url.clone(),
            daemon: pve.daemon.clone(),
            token: pve.token.clone(),
            certificate: pve.certificate.clone(),
            etc_pve: pve.etc_pve.clone(),
            node: None,
            limits: Limits::default(),
        }
    }
}

struct Shared {
    product: Product,
    proxy: Daemon,
    daemon: Option<Daemon>,
    local: Local,
    limits: Limits,
}

/// The account that the daemon's own calls are for: no user has it.
const OWN: Account = Account::User(u32::MAX);

/// A handle to this node's API, as one identity. Clones and [`Client::for_token`] share the connections: who asks is said in
/// each request, and by nothing else.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    token: Arc<TokenFile>,
    methods: Methods,
    /// For whom it asks, and what may be held of the answers.
    room: Room,
}

impl Client {
    /// Connects to nobody yet, and reads no file.
    pub fn new(options: Options) -> Result<Self, AddressError> {
        let limits = options.limits;
        let product = options.product;
        let pin = PinFile::new(product, options.certificate);
        let facts = product.facts();
        let proxy = Daemon::new(facts.proxy, Address::url(&options.url)?, pin.clone(), limits, limits.hang);
        let daemon = Address::daemon(&options.daemon)?
            .map(|address| Daemon::new(facts.daemon, address, pin.clone(), limits, limits.hang_of_daemon));
        let local = Local::new(product, options.node, options.etc_pve);
        let room = Room::new(Supply::halves(limits.answers), OWN, limits.answer);
        Ok(Self {
            shared: Arc::new(Shared { product, proxy, daemon, local, limits }),
            room,
            token: Arc::new(TokenFile::new(options.token, product)),
            methods: Methods::All,
        })
    }

    /// The same node as somebody else: a role with a token of its own.
    pub fn for_token(&self, token: impl Into<PathBuf>) -> Self {
        Self { token: Arc::new(TokenFile::new(token, self.product())), ..self.clone() }
    }

    /// Whose API it is.
    pub fn product(&self) -> Product {
        self.shared.product
    }

    /// The same on behalf of an account: what it takes of what all share is counted as its own.
    pub fn for_account(&self, account: impl Into<Account>) -> Self {
        Self { room: self.room.of_account(account.into()), ..self.clone() }
    }

    /// The same for answers of another length than [`Limits::answer`]; what all may hold stays as it is.
    pub fn for_answers_of(&self, bytes: usize) -> Self {
        Self { room: self.room.of_length(bytes), ..self.clone() }
    }

    /// Who we are to PVE, without the secret: `provost@pve!agent`.
    pub fn token_id(&self) -> Result<String, TokenError> {
        self.token.id()
    }

    /// The memory in which a sink of this handle's may hold what it keeps.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The same with less: a handle never gets a method back.
    pub fn limited_to(&self, methods: Methods) -> Self {
        Self { methods: self.methods.min(methods), ..self.clone() }
    }

    /// Asks, and again when the way there or back broke.
    pub async fn get(&self, read: &Read) -> Result<Answer, PveError> {
        self.whole(&read.0).await
    }

    /// The same, with the body given to `sink` as it comes. After an error, what the sink has is worth nothing.
    pub async fn get_into<'read>(
        &self,
        read: &'read Read,
        sink: &mut dyn Sink,
    ) -> Result<Accepted<'read>, PveError> {
        self.carry_out(&read.0, sink).await
    }

    /// Asks one daemon, at most once, and waits for the answer as long as the call may take. After an error it may have been
    /// given all the same, to nobody.
    pub async fn get_once(&self, once: Once, sink: &mut dyn Sink) -> Result<(), PveError> {
        self.carry_out(&once.0, sink).await.map(drop)
    }

    /// Asks what a change would do, where the API has a dry run. It changes nothing, so a handle that only reads may.
    pub async fn rehearse(&self, rehearsal: &Rehearsal) -> Result<Answer, PveError> {
        let mut text = Text::new(&self.room);
        self.exchange(&rehearsal.0, &mut text).await?.answer(text)
    }

    /// Sends a change, once. An error other than [`PveError::MayHaveHappened`] means that PVE did not get it, or refused
    /// it. To drop the future is to give up knowing: the request may have left by then, so whoever must know awaits it in
    /// a task of its own.
    pub async fn send(&self, write: Write) -> Result<Answer, PveError> {
        self.whole(&write.0).await
    }

    async fn whole(&self, call: &Call) -> Result<Answer, PveError> {
        let mut text = Text::new(&self.room);
        self.carry_out(call, &mut text).await?.answer(text)
    }

    /// This node's name, as the cluster knows it.
    pub async fn node(&self) -> Result<String, PveError> {
        let token = self.token.header()?;
        Ok(self.local_name(&token, Instant::now() + self.shared.limits.call).await)
    }

    async fn carry_out<'call>(
        &self,
        call: &'call Call,
        sink: &mut dyn Sink,
    ) -> Result<Accepted<'call>, PveError> {
        if !self.methods.allow(call.method) {
            return Err(PveError::Withheld { what: call.name(), allowed: self.methods });
        }
        self.exchange(call, sink).await
    }

    /// Asks, and again where that can help and cannot do a thing twice. Whether the handle may is checked before.
    async fn exchange<'call>(
        &self,
        call: &'call Call,
        sink: &mut dyn Sink,
    ) -> Result<Accepted<'call>, PveError> {
        let limits = &self.shared.limits;
        let until = Instant::now() + call.timeout.unwrap_or(limits.call);
        let mut pause = limits.backoff;
        for tries in 0.. {
            let token = self.token.header()?;
            let (daemon, unanswered) = match self.ask(call, &token, until, sink).await {
                Ok(raw) => return answer::judge(self.product(), call, raw),
                Err(failed) => failed,
            };
            let wait = pause.mul_f64(0.5 + fastrand::f64());
            if tries >= limits.retries || !may_go_again(call, &unanswered) || Instant::now() + wait >= until {
                return Err(PveError::unanswered(call, daemon, unanswered));
            }
            tracing::debug!(call = call.name(), daemon = daemon.name, ?unanswered, "tried again");
            tokio::time::sleep(wait).await;
            pause *= 2;
        }
        unreachable!("the tries are bounded")
    }

    /// One try: of pvedaemon for what is this node's, where it listens; else of pveproxy.
    async fn ask(
        &self,
        call: &Call,
        token: &hyper::header::HeaderValue,
        until: Instant,
        sink: &mut dyn Sink,
    ) -> Result<Raw, (&Daemon, Unanswered)> {
        let Shared { proxy, daemon, .. } = &*self.shared;
        let direct = daemon.as_ref().filter(|daemon| !call.through_proxy && daemon.is_here());
        if let Some(daemon) = direct
            && self.is_ours(call, token, until).await
        {
            match daemon.ask(call, &self.asker(token), until, sink).await {
                Err(Unanswered::Unconnected(why)) => {
                    tracing::debug!(
                        at = daemon.address.authority(),
                        ?why,
                        "no pvedaemon; by way of pveproxy"
                    );
                    daemon.is_away();
                }
                // Only what can be asked again is given up so.
                Err(Unanswered::Wedged { after }) => {
                    tracing::warn!(
                        call = call.name(),
                        ?after,
                        "pvedaemon does not answer; by way of pveproxy"
                    );
                    daemon.is_away();
                }
                asked => return asked.map_err(|unanswered| (daemon, unanswered)),
            }
        }
        proxy.ask(call, &self.asker(token), until, sink).await.map_err(|unanswered| (proxy, unanswered))
    }

    fn asker<'a>(&'a self, token: &'a hyper::header::HeaderValue) -> Asker<'a> {
        Asker { token, room: &self.room }
    }

    /// The daemons that are not asked now: their names, for how long they have not answered, and when they are tried again.
    pub fn aside(&self) -> Vec<(&'static str, Duration, Duration)> {
        let Shared { proxy, daemon, .. } = &*self.shared;
        let daemons = std::iter::once(proxy).chain(daemon);
        let aside =
            daemons.filter_map(|daemon| daemon.aside().map(|open| (daemon.name, open.silent, open.next)));
        aside.collect()
    }

    /// Whether this node itself answers the call: pvedaemon forwards nothing.
    async fn is_ours(&self, call: &Call, token: &hyper::header::HeaderValue, until: Instant) -> bool {
        match call.node() {
            None | Some("localhost") => true,
            Some(node) => self.local_name(token, until).await == node,
        }
    }

    async fn local_name(&self, token: &hyper::header::HeaderValue, until: Instant) -> String {
        let Shared { proxy, daemon, local, .. } = &*self.shared;
        if let Some(known) = local.known() {
            return known.to_owned();
        }
        let asked = daemon.as_ref().filter(|daemon| daemon.is_here()).unwrap_or(proxy);
        let ask = async |call: &Call| {
            let mut text = Text::new(&self.room);
            let raw = asked.ask(call, &self.asker(token), until, &mut text).await?;
            Ok(answer::judge(self.product(), call, raw).and_then(|accepted| accepted.answer(text)))
        };
        Box::pin(local.name(ask)).await
    }

    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        let daemon = self.shared.daemon.as_ref().map_or(0, Daemon::connections);
        self.shared.proxy.connections() + daemon
    }
}

/// Whether another try can help, and cannot do a thing twice.
fn may_go_again(call: &Call, unanswered: &Unanswered) -> bool {
    let broke = match unanswered {
        Unanswered::Unconnected(why) => matches!(why, Unconnected::Io(_)),
        Unanswered::Lost { why, .. } => {
            matches!(why, Broken::Http(_) | Broken::CutShort(..) | Broken::Overfull(Overfull::NoRoom(_)))
        }
        _ => false,
    };
    broke && (call.repeats || !unanswered.left())
}
