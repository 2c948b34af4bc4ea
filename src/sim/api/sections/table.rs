//! What is kept in section files: where it is asked for, which file holds it, and PVE's words about it.

pub struct Collection {
    /// Where it is listed and added to.
    pub list: &'static str,
    pub item: &'static str,
    pub file: &'static str,
    /// The parameter and key that holds the id.
    pub id: &'static str,
    pub kind: Kinds,
    /// Of whose rows a caller needs one to see a row; `{id}` is the id.
    pub see: Option<(&'static str, &'static [&'static str])>,
    /// Keys that stand first in the file; the others follow in the alphabet's order.
    pub first: &'static [&'static str],
    /// In sentences: `storage ID 'x' already defined`.
    pub exists: &'static str,
    pub missing: Missing,
    pub digest: bool,
}

pub enum Kinds {
    /// The parameter `type`.
    Given,
    Fixed(&'static str),
    /// What stands before the id's colon.
    OfId,
}

pub enum Missing {
    /// `die "… '{id}' …"`
    Die(&'static str),
    Parameter(&'static str, &'static str),
}

const fn collection(
    list: &'static str,
    item: &'static str,
    file: &'static str,
    id: &'static str,
    kind: Kinds,
) -> Collection {
    Collection {
        list,
        item,
        file,
        id,
        kind,
        see: None,
        first: &[],
        exists: "ID '{id}' already defined",
        missing: Missing::Die("'{id}' does not exist"),
        digest: true,
    }
}

pub const COLLECTIONS: &[Collection] = &[
    Collection {
        see: Some(("/storage/{id}", &["Datastore.Audit", "Datastore.AllocateSpace"])),
        first: &["path"],
        exists: "storage ID '{id}' already defined",
        missing: Missing::Die("storage '{id}' does not exist"),
        ..collection("/storage", "/storage/{storage}", "storage.cfg", "storage", Kinds::Given)
    },
    Collection {
        exists: "resource ID '{id}' already defined",
        missing: Missing::Die("no such resource '{id}'"),
        ..collection(
            "/cluster/ha/resources",
            "/cluster/ha/resources/{sid}",
            "ha/resources.cfg",
            "sid",
            Kinds::OfId,
        )
    },
    Collection {
        exists: "ha group ID '{id}' already defined",
        missing: Missing::Die("no such ha group '{id}'"),
        ..collection(
            "/cluster/ha/groups",
            "/cluster/ha/groups/{group}",
            "ha/groups.cfg",
            "group",
            Kinds::Fixed("group"),
        )
    },
    Collection {
        first: &["nodes", "resources"],
        exists: "HA rule '{id}' already defined",
        missing: Missing::Die("no such ha rule '{id}'"),
        ..collection("/cluster/ha/rules", "/cluster/ha/rules/{rule}", "ha/rules.cfg", "rule", Kinds::Given)
    },
    Collection {
        see: Some(("/sdn/zones/{id}", &["SDN.Audit", "SDN.Allocate"])),
        exists: "sdn zone object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection("/cluster/sdn/zones", "/cluster/sdn/zones/{zone}", "sdn/zones.cfg", "zone", Kinds::Given)
    },
    Collection {
        exists: "sdn vnet object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection(
            "/cluster/sdn/vnets",
            "/cluster/sdn/vnets/{vnet}",
            "sdn/vnets.cfg",
            "vnet",
            Kinds::Fixed("vnet"),
        )
    },
    Collection {
        see: Some(("/sdn/controllers/{id}", &["SDN.Audit", "SDN.Allocate"])),
        exists: "sdn controller object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection(
            "/cluster/sdn/controllers",
            "/cluster/sdn/controllers/{controller}",
            "sdn/controllers.cfg",
            "controller",
            Kinds::Given,
        )
    },
    Collection {
        exists: "sdn ipam object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection("/cluster/sdn/ipams", "/cluster/sdn/ipams/{ipam}", "sdn/ipams.cfg", "ipam", Kinds::Given)
    },
    Collection {
        see: Some(("/sdn/dns/{id}", &["SDN.Audit", "SDN.Allocate"])),
        exists: "sdn dns object ID '{id}' already defined",
        missing: Missing::Die("sdn '{id}' does not exist"),
        ..collection("/cluster/sdn/dns", "/cluster/sdn/dns/{dns}", "sdn/dns.cfg", "dns", Kinds::Given)
    },
    Collection {
        see: Some(("/mapping/dir/{id}", &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"])),
        exists: "dir ID '{id}' already defined",
        missing: Missing::Die("mapping '{id}' not found"),
        ..collection(
            "/cluster/mapping/dir",
            "/cluster/mapping/dir/{id}",
            "mapping/directory.cfg",
            "id",
            Kinds::Fixed("dir"),
        )
    },
    Collection {
        see: Some(("/mapping/pci/{id}", &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"])),
        exists: "pci ID '{id}' already defined",
        missing: Missing::Die("mapping '{id}' not found"),
        ..collection(
            "/cluster/mapping/pci",
            "/cluster/mapping/pci/{id}",
            "mapping/pci.cfg",
            "id",
            Kinds::Fixed("pci"),
        )
    },
    Collection {
        see: Some(("/mapping/usb/{id}", &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"])),
        exists: "usb ID '{id}' already defined",
        missing: Missing::Die("mapping '{id}' not found"),
        ..collection(
            "/cluster/mapping/usb",
            "/cluster/mapping/usb/{id}",
            "mapping/usb.cfg",
            "id",
            Kinds::Fixed("usb"),
        )
    },
    Collection {
        first: &["schedule"],
        exists: "Job '{id}' already exists",
        missing: Missing::Parameter("id", "No such job '{id}'"),
        digest: false,
        ..collection("/cluster/backup", "/cluster/backup/{id}", "jobs.cfg", "id", Kinds::Fixed("vzdump"))
    },
    Collection {
        first: &["schedule"],
        exists: "Job '{id}' already exists",
        missing: Missing::Parameter("id", "No such job '{id}'"),
        digest: false,
        ..collection(
            "/cluster/jobs/realm-sync",
            "/cluster/jobs/realm-sync/{id}",
            "jobs.cfg",
            "id",
            Kinds::Fixed("realm-sync"),
        )
    },
    Collection {
        see: Some(("/vms/{guest}", &["VM.Audit"])),
        first: &["target"],
        exists: "replication job '{id}' already exists",
        missing: Missing::Die("no such replication job '{id}'"),
        ..collection(
            "/cluster/replication",
            "/cluster/replication/{id}",
            "replication.cfg",
            "id",
            Kinds::Given,
        )
    },
    Collection {
        first: &["server", "port"],
        missing: Missing::Die("status server entry '{id}' does not exist"),
        exists: "Metric server '{id}' already exists",
        ..collection(
            "/cluster/metrics/server",
            "/cluster/metrics/server/{id}",
            "status.cfg",
            "id",
            Kinds::Given,
        )
    },
    notification(
        "gotify",
        "/cluster/notifications/endpoints/gotify",
        "/cluster/notifications/endpoints/gotify/{name}",
    ),
    notification(
        "sendmail",
        "/cluster/notifications/endpoints/sendmail",
        "/cluster/notifications/endpoints/sendmail/{name}",
    ),
    notification(
        "smtp",
        "/cluster/notifications/endpoints/smtp",
        "/cluster/notifications/endpoints/smtp/{name}",
    ),
    notification(
        "webhook",
        "/cluster/notifications/endpoints/webhook",
        "/cluster/notifications/endpoints/webhook/{name}",
    ),
    notification("matcher", "/cluster/notifications/matchers", "/cluster/notifications/matchers/{name}"),
    Collection {
        exists: "ACME plugin ID '{id}' already exists!",
        missing: Missing::Die("ACME plugin '{id}' not defined"),
        ..collection(
            "/cluster/acme/plugins",
            "/cluster/acme/plugins/{id}",
            "priv/acme/plugins.cfg",
            "id",
            Kinds::Given,
        )
    },
    Collection {
        exists: "Custom CPU model '{id}' already exists",
        missing: Missing::Die("Custom cputype '{id}' not found"),
        ..collection(
            "/cluster/qemu/custom-cpu-models",
            "/cluster/qemu/custom-cpu-models/{cputype}",
            "virtual-guest/cpu-models.conf",
            "cputype",
            Kinds::Fixed("cpu-model"),
        )
    },
];

const fn notification(kind: &'static str, list: &'static str, item: &'static str) -> Collection {
    Collection {
        exists: "Could not create: an entity named '{id}' already exists",
        missing: Missing::Die("'{id}' does not exist"),
        ..collection(list, item, "notifications.cfg", "name", Kinds::Fixed(kind))
    }
}
