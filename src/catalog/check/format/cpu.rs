//! The CPUs that a guest can be given.

pub(super) const WHAT: &str = "CPU type (one of a node's own begins with custom-; GET \
                               /nodes/{node}/capabilities/qemu/cpu has them all)";

/// QEMU's for each architecture that PVE runs, and PVE's own, without the versions of which each may have some: `EPYC-v4`.
const MODELS: &[&str] = &[
    "486",
    "a64fx",
    "athlon",
    "Broadwell",
    "Broadwell-IBRS",
    "Broadwell-noTSX",
    "Broadwell-noTSX-IBRS",
    "Cascadelake-Server",
    "Cascadelake-Server-noTSX",
    "ClearwaterForest",
    "Conroe",
    "Cooperlake",
    "core2duo",
    "coreduo",
    "cortex-a35",
    "cortex-a53",
    "cortex-a55",
    "cortex-a57",
    "cortex-a710",
    "cortex-a72",
    "cortex-a76",
    "cortex-a78ae",
    "DiamondRapids",
    "EPYC",
    "EPYC-Genoa",
    "EPYC-IBPB",
    "EPYC-Milan",
    "EPYC-Rome",
    "EPYC-Turin",
    "GraniteRapids",
    "Haswell",
    "Haswell-IBRS",
    "Haswell-noTSX",
    "Haswell-noTSX-IBRS",
    "host",
    "Icelake-Client",
    "Icelake-Client-noTSX",
    "Icelake-Server",
    "Icelake-Server-noTSX",
    "IvyBridge",
    "IvyBridge-IBRS",
    "KnightsMill",
    "kvm32",
    "kvm64",
    "max",
    "Nehalem",
    "Nehalem-IBRS",
    "neoverse-n1",
    "neoverse-n2",
    "neoverse-v1",
    "Opteron_G1",
    "Opteron_G2",
    "Opteron_G3",
    "Opteron_G4",
    "Opteron_G5",
    "Penryn",
    "pentium",
    "pentium2",
    "pentium3",
    "phenom",
    "qemu32",
    "qemu64",
    "SandyBridge",
    "SandyBridge-IBRS",
    "SapphireRapids",
    "SierraForest",
    "Skylake-Client",
    "Skylake-Client-IBRS",
    "Skylake-Client-noTSX-IBRS",
    "Skylake-Server",
    "Skylake-Server-IBRS",
    "Skylake-Server-noTSX-IBRS",
    "Westmere",
    "Westmere-IBRS",
    "x86-64-v2",
    "x86-64-v2-AES",
    "x86-64-v3",
    "x86-64-v4",
];

/// `host`, `EPYC-v4`, `custom-mine`; whether there is a custom one of that name, the node knows.
pub(super) fn kind(value: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_version =
        |(model, version): (&str, &str)| is_digits(version) && model != "x86-64" && MODELS.contains(&model);
    MODELS.contains(&value)
        || value.rsplit_once("-v").is_some_and(of_version)
        || value.strip_prefix("custom-").is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::kind;
    use crate::catalog::{Method, testing};

    #[test]
    fn every_model_that_a_node_lists_is_one() {
        let mut seen = 0;
        for (_, catalog) in testing::catalogs() {
            let created = catalog
                .endpoints()
                .iter()
                .filter(|it| it.method == Method::Post && it.path == "/cluster/qemu/custom-cpu-models");
            for model in created
                .filter_map(|endpoint| endpoint.parameter("reported-model"))
                .flat_map(|parameter| &parameter.schema.choices)
            {
                assert!(kind(model), "{model}");
                seen += 1;
            }
        }
        assert!(seen > 90, "{seen}");
    }
}
