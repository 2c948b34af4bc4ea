//! A simulated Backup Server, a ledger, policy by a file, and a desk, in one process.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use provost::apply::{self, Applied, Node};
use provost::catalog::find::Finders;
use provost::catalog::{Catalog, Edition, Method};
use provost::estate::Keeper;
use provost::ledger::{self, Ledger};
use provost::plan::blast::{Sources, World};
use provost::plan::{Ask, Asker, Desk, Eyes, Limits, Plan, Refused, Snapshot, Wish};
use provost::policy::{Policy, Principal, Rules};
use provost::product::Product;
use provost::pve::Client;
use provost::sim::backup::{BackupSim, Options, Server};
use serde_json::{Map, Value};

pub struct Site {
    pub dir: tempfile::TempDir,
    pub sim: BackupSim,
    pub desk: Desk,
    pub policy: Policy,
    pub node: Node,
    pub principal: Principal,
}

pub fn client_of(sim: &BackupSim, token: &Path) -> Client {
    let client = Client::new(provost::pve::Options {
        product: Product::Backup,
        url: sim.url.clone(),
        daemon: String::new(),
        token: token.to_owned(),
        certificate: sim.certificate.clone(),
        etc_pve: "/nowhere".into(),
        node: Some("pbs1".into()),
        limits: provost::pve::Limits::default(),
    });
    client.unwrap()
}

impl Site {
    pub async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("provost-sibling-").tempdir().unwrap();
        let sim = BackupSim::start(Options::new(dir.path(), Server::demo())).await.unwrap();
        let client = client_of(&sim, &sim.token);
        write_role(dir.path(), "profile = 'full'\napproval = []");
        let rules = Rules::of(dir.path().join("provost.toml")).unwrap();
        let ledger = Ledger::open(ledger::Options::new(dir.path().join("ledger"))).unwrap();
        let keeper = Keeper::start(Sources::new("/nowhere", &client)).unwrap();
        let world = World::new(Arc::new(keeper), Some(client.clone()));
        let desk = Desk::new(world, ledger, Arc::new(Finders::default()), Limits::default());
        let catalog = Arc::new(Catalog::built_in(Edition::of(Product::Backup)));
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let principal = Principal::of_peer(&ours).unwrap();
        Self { sim, desk, policy: Policy::new(rules), node: Node { client, catalog }, principal, dir }
    }

    /// Whoever runs the test has this role from now on.
    pub fn role(&self, keys: &str) {
        write_role(self.dir.path(), keys);
        self.policy.rules.reload();
        assert_eq!(self.policy.rules.error(), None);
    }

    fn asker(&self) -> Asker {
        let (account, who) = (self.principal.account(), self.principal.who(None));
        Asker { account, behind: None, name: self.principal.to_string(), who, taint: false }
    }

    async fn wish(&self, wish: Wish) -> Result<Arc<Plan>, Refused> {
        let eyes = Eyes::new(&self.node.client, self.node.catalog.clone());
        self.desk.plan(&self.policy, &self.principal, self.asker(), &eyes, wish, Snapshot::WhereNeeded).await
    }

    /// `POST /admin/datastore/tank/gc`
    pub async fn try_plan(&self, call: &str, args: Value) -> Result<Arc<Plan>, Refused> {
        let (method, path) = call.split_once(' ').unwrap();
        let args: Map<String, Value> = args.as_object().cloned().unwrap_or_default();
        let ask = Ask { method: Method::from_name(method), path: path.to_owned(), args };
        self.wish(Wish::Call(ask)).await
    }

    pub async fn plan(&self, call: &str, args: Value) -> Arc<Plan> {
        self.try_plan(call, args).await.unwrap_or_else(|refused| panic!("{call}: {refused}"))
    }

    /// Who is hit, as [`radius`] has it.
    pub async fn hits(&self, call: &str, args: Value) -> Vec<String> {
        let plan = self.plan(call, args).await;
        radius(&plan)
    }

    pub async fn try_apply(&self, plan: &Plan) -> Result<apply::Running, Refused> {
        let (given_up, id) = (tokio_util::sync::CancellationToken::new(), plan.id.to_string());
        apply::run(&self.desk, &self.policy, &self.principal, self.asker(), &self.node, &id, &given_up).await
    }

    pub async fn apply(&self, plan: &Plan) -> Applied {
        let run = self.try_apply(plan).await;
        let running = run.unwrap_or_else(|refused| panic!("{}: {refused}", plan.request.endpoint()));
        let applied = running.wait(Duration::from_secs(30), |_| {}).await.unwrap();
        assert_eq!(applied.result, apply::Became::Done, "{}: {applied:?}", plan.request.endpoint());
        applied
    }

    pub async fn undo(&self, applied: &Applied) -> Applied {
        let plan = self.wish(Wish::Undo(applied.receipt)).await.unwrap_or_else(|refused| panic!("{refused}"));
        self.apply(&plan).await
    }
}

/// `object severity: why`, in the order of the plan.
pub fn radius(plan: &Plan) -> Vec<String> {
    let text = |hit: &Value, name: &str| hit[name].as_str().unwrap_or_default().to_owned();
    let hits = plan.shown["blast_radius"].as_array().cloned().unwrap_or_default();
    hits.iter()
        .map(|hit| format!("{} {}: {}", text(hit, "object"), text(hit, "severity"), text(hit, "why")))
        .collect()
}

fn write_role(dir: &Path, keys: &str) {
    let me = nix::unistd::Uid::effective();
    let file = dir.join("provost.toml");
    let text = format!(
        "[pve]\nproduct = \"backup\"\n[ledger]\ndir = \"{}\"\n[approval]\nmembers = [\"user:{me}\"]\n[[role]]\nname = \"test\"\nmembers = [\"user:{me}\"]\n{keys}\n",
        dir.join("ledger").display()
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
}
