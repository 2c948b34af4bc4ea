//! A simulated cluster, a ledger, policy by a file, and a desk, in one process.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use provost::apply::{self, Applied, Node, Running};
use provost::catalog::find::Finders;
use provost::catalog::{Catalog, Method, Release};
use provost::estate::Keeper;
use provost::ledger::query::{self, Filter};
use provost::ledger::{self, Ledger, Receipt, Seq};
use provost::plan::blast::{Sources, World};
use provost::plan::{Ask, Asker, Desk, Eyes, Limits, Plan, Refused, Snapshot, Wish};
use provost::policy::approval::How;
use provost::policy::{Policy, Principal, Rules};
use provost::pve::Client;
use provost::sim::estate::Estate;
use provost::sim::{Options, Sim};
use serde_json::{Map, Value};

/// A role that may do all, whose keys a test can change.
const FULL: &str = "profile = 'full'\napproval = []";

pub struct Site {
    pub dir: tempfile::TempDir,
    pub sim: Sim,
    pub desk: Desk,
    pub ledger: Ledger,
    pub policy: Policy,
    pub node: Node,
    pub principal: Principal,
}

impl Site {
    pub async fn new(estate: Estate) -> Self {
        Self::with(estate, None, Limits::default()).await
    }

    /// Tasks take their time.
    pub async fn paced(estate: Estate, speed: f64) -> Self {
        Self::with(estate, Some(speed), Limits::default()).await
    }

    /// What depends on what is read from there, and where that cannot be, from the API.
    pub async fn reading(estate: Estate, etc_pve: &str) -> Self {
        let mut site = Self::new(estate).await;
        site.desk = desk(Path::new(etc_pve), &site.node.client, &site.ledger, Limits::default());
        site
    }

    pub async fn with(estate: Estate, speed: Option<f64>, limits: Limits) -> Self {
        let dir = tempfile::Builder::new().prefix("provost-plan-").tempdir().unwrap();
        let sim = Sim::start(Options { speed, ..Options::new(dir.path(), estate) }).await.unwrap();
        let client = Client::new(provost::pve::Options {
            product: provost::product::Product::Pve,
            url: sim.url.clone(),
            daemon: sim.daemon_url.clone(),
            token: sim.token.clone(),
            certificate: sim.certificate.clone(),
            etc_pve: sim.etc_pve.clone(),
            node: None,
            limits: provost::pve::Limits::default(),
        });
        write_role(dir.path(), FULL);
        let rules = Rules::of(dir.path().join("provost.toml")).unwrap();
        let ledger = open(dir.path());
        let client = client.unwrap();
        let desk = desk(&sim.etc_pve, &client, &ledger, limits);
        let (ours, _theirs) = UnixStream::pair().unwrap();
        Self {
            sim,
            desk,
            ledger,
            policy: Policy::new(rules),
            node: Node { client, catalog: Arc::new(Catalog::embedded(Release::V9_2)) },
            principal: Principal::of_peer(&ours).unwrap(),
            dir,
        }
    }

    /// Whoever runs the test has this role from now on.
    pub fn role(&self, keys: &str) {
        write_role(self.dir.path(), keys);
        self.policy.rules.reload();
        assert_eq!(self.policy.rules.error(), None);
    }

    pub fn full(&self) {
        self.role(FULL);
    }

    /// A person's answer to a plan.
    pub fn decide(&self, plan: &Plan, yes: bool) {
        let claim =
            self.policy.decide(&self.principal, &plan.id.to_string(), &plan.sha256, yes, How::Terminal);
        claim.unwrap_or_else(|why| panic!("{why}")).settle(0);
    }

    pub fn eyes(&self) -> Eyes {
        Eyes::new(&self.node.client, self.node.catalog.clone())
    }

    pub fn asker(&self) -> Asker {
        let (account, who) = (self.principal.account(), self.principal.who(None));
        Asker { account, behind: None, name: self.principal.to_string(), who, taint: false }
    }

    pub async fn wish(&self, wish: Wish, snapshot: Snapshot) -> Result<Arc<Plan>, Refused> {
        self.desk.plan(&self.policy, &self.principal, self.asker(), &self.eyes(), wish, snapshot).await
    }

    /// `PUT /nodes/pve1/lxc/101/config`, and `memory=1024 swap=0`; a value that begins with a bracket is JSON.
    pub async fn try_plan(&self, call: &str, args: &str) -> Result<Arc<Plan>, Refused> {
        self.wish(Wish::Call(ask(call, args)), Snapshot::WhereNeeded).await
    }

    pub async fn plan(&self, call: &str, args: &str) -> Arc<Plan> {
        self.try_plan(call, args).await.unwrap_or_else(|refused| panic!("{call} {args}: {refused}"))
    }

    pub async fn refused(&self, call: &str, args: &str) -> Refused {
        match self.try_plan(call, args).await {
            Err(refused) => refused,
            Ok(plan) => panic!("{call} {args} was planned: {:#?}", plan.shown),
        }
    }

    pub async fn try_apply(&self, id: &str) -> Result<Applied, Refused> {
        self.run(id).await?.wait(Duration::from_secs(60), |_| {}).await
    }

    pub async fn run(&self, id: &str) -> Result<Running, Refused> {
        let given_up = tokio_util::sync::CancellationToken::new();
        apply::run(&self.desk, &self.policy, &self.principal, self.asker(), &self.node, id, &given_up).await
    }

    /// Applies it, which must go well.
    pub async fn apply(&self, plan: &Plan) -> Applied {
        let applied = self.try_apply(&plan.id.to_string()).await;
        let applied = applied.unwrap_or_else(|refused| panic!("{}: {refused}", plan.request.endpoint()));
        assert_eq!(applied.result, apply::Became::Done, "{}: {applied:?}", plan.request.endpoint());
        applied
    }

    pub async fn carry_out(&self, call: &str, args: &str) -> Applied {
        let plan = self.plan(call, args).await;
        self.apply(&plan).await
    }

    pub async fn try_undo(&self, receipt: Seq) -> Result<Arc<Plan>, Refused> {
        self.wish(Wish::Undo(receipt), Snapshot::WhereNeeded).await
    }

    pub async fn undo(&self, receipt: Seq) -> Applied {
        let plan = self.try_undo(receipt).await.unwrap_or_else(|refused| panic!("undo {receipt}: {refused}"));
        self.apply(&plan).await
    }

    /// Of the ledger, the newest first.
    pub fn receipts(&self) -> Vec<Receipt> {
        receipts(self.dir.path())
    }

    pub fn newest(&self, kind: &str) -> Receipt {
        let found = self.receipts().into_iter().find(|receipt| receipt.kind.name() == kind);
        found.unwrap_or_else(|| panic!("no {kind} receipt"))
    }

    /// The files of /etc/pve, their lines in order of the alphabet.
    pub fn tree(&self) -> BTreeMap<String, Vec<String>> {
        let mut files = BTreeMap::new();
        walk(&self.sim.etc_pve, &self.sim.etc_pve, &mut files);
        files
    }
}

fn desk(etc_pve: &Path, client: &Client, ledger: &Ledger, limits: Limits) -> Desk {
    let keeper = Keeper::start(Sources::new(etc_pve, client)).unwrap();
    let world = World::new(Arc::new(keeper), Some(client.clone()));
    Desk::new(world, ledger.clone(), Arc::new(Finders::default()), limits)
}

fn write_role(dir: &Path, keys: &str) {
    use std::os::unix::fs::PermissionsExt;
    let me = nix::unistd::Uid::effective();
    let file = dir.join("provost.toml");
    let text = format!(
        "[ledger]\ndir = \"{}\"\n[approval]\nmembers = [\"user:{me}\"]\n[[role]]\nname = \"test\"\nmembers = [\"user:{me}\"]\n{keys}\n",
        dir.join("ledger").display()
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
}

pub fn open(dir: &Path) -> Ledger {
    Ledger::open(ledger::Options::new(dir.join("ledger"))).unwrap()
}

pub fn receipts(dir: &Path) -> Vec<Receipt> {
    let mut found = Vec::new();
    let place = ledger::Place::new(dir.join("ledger"));
    query::newest_first(&place, &Filter::default(), |receipt| {
        found.push(receipt);
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn walk(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<String>>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(root, &path, files);
            continue;
        }
        let name = path.strip_prefix(root).unwrap().display().to_string();
        // Counters of the file system, and the log of what was done.
        if name.starts_with('.') || name.contains("priv/log") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        let mut lines: Vec<String> =
            text.lines().map(str::trim_end).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        lines.sort();
        files.insert(name, lines);
    }
}

pub fn ask(call: &str, args: &str) -> Ask {
    let (method, path) = call.split_once(' ').unwrap();
    Ask { method: Method::from_name(method), path: path.to_owned(), args: args_of(args) }
}

pub fn args_of(text: &str) -> Map<String, Value> {
    let value = |text: &str| match text.starts_with(['[', '{']) {
        true => serde_json::from_str(text).unwrap(),
        false => Value::from(text.replace("%20", " ")),
    };
    let pairs = text.split_whitespace().map(|pair| pair.split_once('=').unwrap_or((pair, "1")));
    pairs.map(|(name, text)| (name.to_owned(), value(text))).collect()
}

/// The effects of a plan as `field: before -> after`.
pub fn effects(plan: &Plan) -> Vec<String> {
    let rows = plan.shown["effects"].as_array().unwrap();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    rows.iter()
        .map(|row| format!("{}: {} -> {}", text(&row["field"]), text(&row["before"]), text(&row["after"])))
        .collect()
}

/// The hits of a plan as `object severity`.
pub fn hits(plan: &Plan) -> Vec<String> {
    let rows = plan.shown["blast_radius"].as_array().unwrap();
    rows.iter()
        .map(|row| format!("{} {}", row["object"].as_str().unwrap(), row["severity"].as_str().unwrap()))
        .collect()
}

pub async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "not in 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
