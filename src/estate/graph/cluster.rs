//! What everything but guests hangs on.

use super::{Edge, Object, Why};
use crate::estate::access::{Access, Holder};
use crate::estate::cluster::Cluster;
use crate::estate::firewall::{Named, Scope};
use crate::estate::ha::Places;
use crate::estate::index::Index;

type Each<'e, 'a> = &'e mut dyn FnMut(Object<'a>, Why, Object<'a>);

pub(super) fn edges<'a>(index: &'a Index, each: &mut dyn FnMut(Edge<'a>)) {
    let cluster = index.cluster();
    let hangs: Each<'_, 'a> = &mut |from, why, to| each(Edge { from, why, to });
    storages(cluster, hangs);
    networks(cluster, hangs);
    access(&cluster.access, hangs);
    jobs(cluster, hangs);
    ha(cluster, hangs);
    firewalls(cluster, hangs);
    for mapping in cluster.mappings.values().flatten() {
        for node in &mapping.nodes {
            hangs(Object::Mapping(mapping.kind, &mapping.id), Why::RestrictedToNode, Object::Node(node));
        }
    }
}

fn storages<'a>(cluster: &'a Cluster, hangs: Each<'_, 'a>) {
    for storage in cluster.storages.iter() {
        let this = Object::Storage(&storage.id);
        storage.nodes.iter().for_each(|node| hangs(this, Why::RestrictedToNode, Object::Node(node)));
        if let Some(base) = &storage.base {
            hangs(this, Why::LiesOn, Object::Storage(base.storage()));
        }
    }
}

fn networks<'a>(cluster: &'a Cluster, hangs: Each<'_, 'a>) {
    for zone in cluster.zones.iter() {
        let this = Object::Zone(&zone.id);
        zone.nodes.iter().for_each(|node| hangs(this, Why::RestrictedToNode, Object::Node(node)));
        zone.bridge.iter().for_each(|bridge| hangs(this, Why::UsesBridge, Object::Bridge(bridge)));
        zone.controller.iter().for_each(|id| hangs(this, Why::ControlledBy, Object::Controller(id)));
    }
    for vnet in cluster.vnets.iter() {
        vnet.zone.iter().for_each(|zone| hangs(Object::Vnet(&vnet.id), Why::InZone, Object::Zone(zone)));
    }
    for subnet in cluster.subnets.iter() {
        subnet
            .vnet
            .iter()
            .for_each(|vnet| hangs(Object::Subnet(&subnet.id), Why::InVnet, Object::Vnet(vnet)));
    }
    for controller in cluster.controllers.iter() {
        let this = Object::Controller(&controller.id);
        controller.node.iter().for_each(|node| hangs(this, Why::RestrictedToNode, Object::Node(node)));
    }
}

fn access<'a>(access: &'a Access, hangs: Each<'_, 'a>) {
    for token in access.tokens.keys() {
        if let Some((user, _)) = token.split_once('!') {
            hangs(Object::Token(token), Why::TokenOf, Object::User(user));
        }
    }
    for (group, users) in &access.groups {
        users.iter().for_each(|user| hangs(Object::User(user), Why::MemberOfGroup, Object::Group(group)));
    }
    for (pool, held) in &access.pools {
        held.storages.iter().for_each(|id| hangs(Object::Storage(id), Why::MemberOfPool, Object::Pool(pool)));
    }
    for acl in &access.acls {
        let who = match &acl.holder {
            Holder::User(id) => Object::User(id),
            Holder::Token(id) => Object::Token(id),
            Holder::Group(id) => Object::Group(id),
        };
        let path = Object::Path(&acl.path);
        hangs(who, Why::GrantedAt, path);
        hangs(path, Why::GivesRole, Object::Role(&acl.role));
        concerns(&acl.path).into_iter().for_each(|object| hangs(path, Why::Concerns, object));
    }
}

/// The one object that a path of an access list names.
fn concerns(path: &str) -> Option<Object<'_>> {
    let (kind, id) = path.strip_prefix('/')?.split_once('/')?;
    match (kind, id.split_once('/')) {
        ("vms", None) => id.parse().ok().map(Object::Guest),
        ("storage", None) => Some(Object::Storage(id)),
        ("nodes", None) => Some(Object::Node(id)),
        // A pool's name may hold slashes.
        ("pool", _) => Some(Object::Pool(id)),
        ("sdn", Some(("zones", rest))) => match rest.split('/').collect::<Vec<_>>()[..] {
            [zone] => Some(Object::Zone(zone)),
            [_, vnet] | [_, vnet, _] => Some(Object::Vnet(vnet)),
            _ => None,
        },
        _ => None,
    }
}

fn jobs<'a>(cluster: &'a Cluster, hangs: Each<'_, 'a>) {
    for job in cluster.jobs.iter() {
        let this = Object::Job(&job.id);
        job.storage.iter().for_each(|storage| hangs(this, Why::BacksUpTo, Object::Storage(storage)));
        job.node.iter().for_each(|node| hangs(this, Why::RestrictedToNode, Object::Node(node)));
    }
    for job in cluster.replications.iter() {
        let this = Object::Replication(&job.id);
        hangs(this, Why::Replicates, Object::Guest(job.vmid));
        job.target.iter().for_each(|node| hangs(this, Why::ReplicatesTo, Object::Node(node)));
    }
}

fn ha<'a>(cluster: &'a Cluster, hangs: Each<'_, 'a>) {
    for resource in cluster.resources.iter() {
        let this = Object::Resource(&resource.sid);
        hangs(this, Why::Keeps, Object::Guest(resource.vmid));
        resource.group.iter().for_each(|group| hangs(this, Why::InHaGroup, Object::HaGroup(group)));
    }
    for group in cluster.ha_groups.iter() {
        let this = Object::HaGroup(&group.id);
        group.nodes.iter().for_each(|node| hangs(this, Why::RestrictedToNode, Object::Node(node)));
    }
    for rule in cluster.rules.iter() {
        let this = Object::HaRule(&rule.id);
        rule.resources.iter().for_each(|sid| hangs(this, Why::Places, Object::Resource(sid)));
        if let Places::Nodes { nodes, .. } = &rule.places {
            nodes.iter().for_each(|node| hangs(this, Why::RestrictedToNode, Object::Node(node)));
        }
    }
}

fn firewalls<'a>(cluster: &'a Cluster, hangs: Each<'_, 'a>) {
    for (scope, firewall) in cluster.firewalls.iter() {
        let this = Object::Firewall(scope);
        match scope {
            Scope::Cluster => {}
            Scope::Node(node) => hangs(this, Why::Guards, Object::Node(node)),
            Scope::Guest(vmid) => hangs(this, Why::Guards, Object::Guest(*vmid)),
            Scope::Vnet(id) => hangs(this, Why::Guards, Object::Vnet(id)),
        }
        for (group, rule) in firewall.all_rules() {
            let from = group.map_or(this, |name| Object::SecurityGroup(name));
            rule.group()
                .into_iter()
                .for_each(|name| hangs(from, Why::TakesInGroup, Object::SecurityGroup(name)));
        }
        // By name alone: `users_of_alias` and `users_of_set` know whose each is.
        let own = cluster.firewalls.get(&Scope::Cluster).into_iter().chain([firewall]);
        for (group, rule) in firewall.all_rules() {
            let from = group.map_or(this, |name| Object::SecurityGroup(name));
            for named in rule.named() {
                let mut files = own.clone();
                let found = match &named {
                    Named::Alias { name, .. } => files
                        .find_map(|file| file.aliases.iter().find(|alias| alias.name == *name))
                        .map(|alias| (Why::NamesAlias, Object::Alias(&alias.name))),
                    Named::Set { name, .. } => files
                        .find_map(|file| file.sets.iter().find(|set| set.name == *name))
                        .map(|set| (Why::NamesSet, Object::Set(&set.name))),
                };
                found.into_iter().for_each(|(why, to)| hangs(from, why, to));
            }
        }
    }
}
