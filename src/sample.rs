//! An alert for tests; those of the core and those of what stands on it compile it each for themselves.

use crate::alert::{Alert, Context, FINGERPRINT_VERSION, Host, Kind, Reason, SCHEMA, SourcePlace, Status};
use crate::analyzer::{AnalyzerKind, Finding};
use crate::record::Level;

/// An alert as the contract shows one.
pub fn alert() -> Alert {
    Alert {
        schema: SCHEMA,
        id: "k3v9q2".to_owned(),
        firing_id: None,
        status: Status::Firing,
        reason: Reason::New,
        severity: Level::Error,
        fingerprint: "5f2c9a7e11d04b3c".to_owned(),
        fingerprint_version: FINGERPRINT_VERSION,
        title: "java.lang.IllegalStateException: pool exhausted".to_owned(),
        message: Some("checkout failed".to_owned()),
        text: Some(
            "2026-11-23 06:00:01 ERROR checkout failed\njava.lang.IllegalStateException: pool exhausted".to_owned(),
        ),
        template: Some("checkout failed".to_owned()),
        level: Some(Level::Error),
        kind: Kind::Exception,
        language: Some("java".to_owned()),
        timestamp: "2026-11-23T06:00:01Z".parse().ok(),
        observed_at: "2026-11-23T06:00:01.214Z".parse().unwrap(),
        clock_suspect: false,
        late: false,
        truncated: false,
        source: Some(SourcePlace {
            name: "app".to_owned(),
            path: "/var/log/app/app.log".to_owned(),
            first_line: Some(120),
            last_line: Some(121),
            offset: 18234,
            end_offset: 20991,
            line_numbers: None,
        }),
        detectors: vec![Finding {
            threshold: None,
            analyzer: AnalyzerKind::Rule,
            name: Some("pool".to_owned()),
            severity: Level::Error,
            captures: serde_json::Map::from_iter([("pool".to_owned(), "main".into())]),
            confidence: None,
            score: None,
            model: None,
            counted: None,
        }],
        fields: serde_json::Map::new(),
        context: Context {
            before: vec!["before".to_owned()],
            after: vec!["after".to_owned()],
        },
        count: 1,
        total: None,
        period_ms: None,
        first_seen: "2026-11-23T06:00:01Z".parse().unwrap(),
        last_seen: "2026-11-23T06:00:01Z".parse().unwrap(),
        host: Host {
            id: "h1".to_owned(),
            name: "gw-17".to_owned(),
        },
        labels: [("site".to_owned(), "plant-7".to_owned())].into(),
        groups: Vec::new(),
    }
}
