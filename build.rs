//! How `provostd` is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Where its tables point to, which the loader reads at each start and which stay resident, a thirtieth as long. Every
    // release of PVE has a loader that knows it (glibc 2.36).
    if std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu") {
        println!("cargo:rustc-link-arg-bin=provostd=-Wl,-z,pack-relative-relocs");
    }
}
