//! Keys of a source given as options of `scan`: the same words, the same forms, the same messages.

use super::place::{Input, Inputs};
use super::problem::Problems;
use super::tree::{self, Entry, Node, Value};
use super::{check, decode, file, merge};
use crate::record;

/// Values of `--format`, `--encoding`, `--multiline`, `--timezone`, as typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordKeys<'t> {
    pub format: Option<&'t str>,
    pub encoding: Option<&'t str>,
    pub multiline: Option<&'t str>,
    pub timezone: Option<&'t str>,
}

/// What was given, over the settings of a source.
#[derive(Debug, Clone, Default)]
pub struct RecordOptions {
    pub format: Option<record::Format>,
    pub encodings: Option<Vec<&'static encoding_rs::Encoding>>,
    pub multiline: Option<record::Multiline>,
    pub zone: Option<record::Zone>,
}

/// Reads the options as a source's keys.
pub fn record_options(keys: &RecordKeys<'_>) -> Result<RecordOptions, Problems> {
    let typed = [
        ("--format", "format", keys.format),
        ("--encoding", "encoding", keys.encoding),
        ("--multiline", "multiline", keys.multiline),
        ("--timezone", "timezone", keys.timezone),
    ];
    let mut inputs = Inputs::default();
    let mut entries = Vec::new();
    for (option, key, value) in typed {
        let Some(value) = value else { continue };
        let id = inputs.next_id();
        let node = merge::value_node(value, id);
        inputs.add(Input::Option(option), tree::ids_end(&node));
        entries.push(Entry {
            key: key.to_owned(),
            id,
            node,
        });
    }
    let root = Node {
        id: inputs.next_id(),
        value: Value::Map(entries),
    };
    let (shape, faults) = decode::decode::<file::Source>(&root);
    for fault in faults {
        inputs.push_fault(fault);
    }
    let settings = check::sources::record_settings(&shape, &mut inputs);
    if !inputs.is_faultless() {
        return Err(inputs.problems(&Node {
            id: root.id,
            value: Value::Null,
        }));
    }
    Ok(RecordOptions {
        format: keys.format.map(|_| settings.format),
        encodings: keys.encoding.map(|_| settings.encodings),
        multiline: keys.multiline.map(|_| settings.multiline),
        zone: keys.timezone.map(|_| settings.zone),
    })
}
