//! `--html`: one self-contained page, readable on a phone, in light and dark, without a network.
//!
//! The page (`page.html`) draws itself from one JSON object. Log text gets into it only as JSON, with `<`, `>` and `&`
//! escaped so that nothing in a log can end the script element, and from there only as text nodes. Its size is bounded:
//! what the bounds leave out is said at its foot.

use super::novelty::{Row, Shown};
use super::report::{Group, Point, Report, Totals};
use crate::alert::render::{clean, cut_bytes};
use crate::analyzer::{AnalyzerKind, Finding};
use crate::record::Level;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

/// Groups on the page; the page stays under 10 MiB.
const GROUPS_MAX: usize = 500;
/// Of each text of a group: sample, title, one line of context, one field.
const TEXT_MAX_BYTES: usize = 8 * 1024;
const TITLE_MAX_BYTES: usize = 400;
const LINE_MAX_BYTES: usize = 300;
/// Fields of a sample shown.
const FIELDS_MAX: usize = 20;
/// Points of the plot, and the cells that they are gathered in.
const POINTS_MAX: usize = 20_000;
const CELLS_MAX: i64 = 600;
/// The number that stands for all groups that are not on the page.
const OTHER_GROUPS: i64 = -1;

const PAGE: &str = include_str!("page.html");
/// What every page begins with.
pub const BEGINNING: &[u8] = b"<!doctype html>";
const DATA: &str = "{{data}}";

/// Writes the page. The report's time line is made coarser for it.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut impl Write,
    report: &mut Report,
    shown: &Shown,
    totals: &Totals,
    zone: &jiff::tz::TimeZone,
) -> io::Result<()> {
    report.timeline.coarsen_to(CELLS_MAX);
    let (before, after) = PAGE.split_once(DATA).expect("the page has a place for its data");
    out.write_all(before.as_bytes())?;
    let mut data = data(report, totals, zone);
    data["kinds"] = shown.templates.into();
    data["rarest"] = shown.rarest.iter().map(unremarked).collect();
    data["newest"] = shown.newest.iter().map(unremarked).collect();
    out.write_all(script_safe(&data.to_string()).as_bytes())?;
    out.write_all(after.as_bytes())
}

/// JSON that may stand in a script element: the three characters that HTML looks at occur in strings only.
fn script_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

fn data(report: &Report, totals: &Totals, zone: &jiff::tz::TimeZone) -> Value {
    let ranked = report.ranked();
    let shown = &ranked[..ranked.len().min(GROUPS_MAX)];
    let hidden = &ranked[shown.len()..];
    let mut files = Files::default();
    let groups: Vec<Value> = shown
        .iter()
        .map(|group| group_json(group, report, &mut files))
        .collect();
    let (points, unplotted) = points(report, shown, &mut files);
    let counts: Map<String, Value> = Level::ALL
        .iter()
        .map(|&level| (level.to_string(), report.counts[level as usize].into()))
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "zone": zone.iana_name().unwrap_or("UTC"),
        "read": {
            "files": totals.files, "lines": totals.lines, "bytes": totals.bytes,
            "from": totals.span.0.map(|(from, _)| from.as_second()),
            "to": totals.span.0.map(|(_, to)| to.as_second()),
        },
        "counts": counts,
        "group_count": ranked.len(),
        "groups": groups,
        "others_severity": hidden.iter().map(|group| group.severity).max(),
        "grid": report.timeline.grid_seconds(),
        "points": points,
        "files": files.paths,
        "left_out": {
            "groups": hidden.len() as u64 + u64::from(report.ungrouped > 0),
            "records": hidden.iter().map(|group| group.count).sum::<u64>() + report.ungrouped,
            "points": unplotted,
        },
    })
}

fn group_json(group: &Group, report: &Report, files: &mut Files) -> Value {
    let sample = &group.sample;
    let text = clean(sample.text.as_deref().unwrap_or_default());
    let short = cut_bytes(&text, TEXT_MAX_BYTES);
    let lines_cut = text.matches('\n').count() - short.matches('\n').count() + group.sample_lines_cut;
    let mut places: Vec<Value> = group
        .places
        .iter()
        .map(|(&file, &(line, count))| json!([files.number(file, report), line, count]))
        .collect();
    // The sample's own file stands first.
    let own = sample.source.as_ref().map(|source| clean(&source.path).into_owned());
    places.sort_by_key(|place| {
        place[0]
            .as_u64()
            .map(|file| Some(&files.paths[file as usize]) != own.as_ref())
    });
    let line = |text: &String| cut_bytes(&clean(text), LINE_MAX_BYTES);
    let fields: Map<String, Value> = sample
        .fields
        .iter()
        .take(FIELDS_MAX)
        .map(|(key, value)| {
            (
                line(key),
                line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)).into(),
            )
        })
        .collect();
    json!({
        "number": group.number,
        "severity": group.severity,
        "count": group.count,
        "title": cut_bytes(&clean(&sample.title), TITLE_MAX_BYTES),
        "first": group.first.as_second(),
        "last": group.last.as_second(),
        "guessed": group.times_guessed,
        "language": sample.language,
        "source": sample.source.as_ref().map(|source| &source.name),
        "detectors": sample.detectors.iter().map(found_by).collect::<Vec<_>>(),
        "fingerprint": sample.fingerprint,
        "places": places,
        "text": short,
        "lines_cut": lines_cut,
        "before": sample.context.before.iter().map(line).collect::<Vec<_>>(),
        "after": sample.context.after.iter().map(line).collect::<Vec<_>>(),
        "fields": fields,
    })
}

/// A message that nobody has found exceptional.
fn unremarked(row: &Row) -> Value {
    json!({
        "title": cut_bytes(&clean(&row.title), TITLE_MAX_BYTES),
        "count": row.count,
        "at": row.at.as_second(),
        "place": format!("{}:{}", clean(&row.path), row.line),
    })
}

fn found_by(finding: &Finding) -> String {
    let analyzer = match finding.analyzer {
        AnalyzerKind::Level => "level",
        AnalyzerKind::Rule => "rule",
        AnalyzerKind::Novelty => "novelty",
        AnalyzerKind::Ai => "AI",
    };
    finding
        .name
        .as_ref()
        .map_or_else(|| analyzer.to_owned(), |name| format!("{analyzer} {name}"))
}

/// Rows `[second, group, file, count]` in order of time, and the number of records that found no room.
fn points(report: &Report, shown: &[&Group], files: &mut Files) -> (Vec<Value>, u64) {
    let numbers: HashMap<usize, i64> = shown.iter().map(|group| (group.number, group.number as i64)).collect();
    let mut rows: BTreeMap<(i64, i64, usize), u64> = BTreeMap::new();
    for Point {
        second,
        group,
        file,
        count,
    } in report.timeline.points()
    {
        let group = numbers.get(&group).copied().unwrap_or(OTHER_GROUPS);
        *rows.entry((second, group, files.number(file, report))).or_default() += count;
    }
    let left_out: u64 = rows.values().skip(POINTS_MAX).sum();
    let row = |((second, group, file), count)| json!([second, group, file, count]);
    (
        rows.into_iter().take(POINTS_MAX).map(row).collect(),
        left_out + report.timeline.unplotted,
    )
}

/// The files that the page speaks of.
#[derive(Default)]
struct Files {
    paths: Vec<String>,
    numbers: HashMap<usize, usize>,
}

impl Files {
    fn number(&mut self, file: usize, report: &Report) -> usize {
        *self.numbers.entry(file).or_insert_with(|| {
            self.paths.push(clean(report.path(file)).into_owned());
            self.paths.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::alert;
    use super::*;

    fn page(report: &mut Report) -> String {
        let mut out = Vec::new();
        let totals = Totals::default();
        write(&mut out, report, &Shown::default(), &totals, &jiff::tz::TimeZone::UTC).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn data_of(page: &str) -> Value {
        let start = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        serde_json::from_str(&page[start..start + page[start..].find("</script>").unwrap()]).unwrap()
    }

    #[test]
    fn a_hostile_log_cannot_leave_its_place_in_the_page() {
        let hostile = "ERROR </script><script>alert(1)</script><!-- \u{1b}]0;x\u{7} & \u{202e}\u{2028}";
        let mut report = Report::default();
        report.add(&alert(Level::Error, "f", hostile, 0, "/var/log/<b>.log", 1));
        let page = page(&mut report);
        assert_eq!(page.matches("</script>").count(), PAGE.matches("</script>").count());
        assert_eq!(page.matches("<script").count(), PAGE.matches("<script").count());
        assert!(!page.contains("<!--") && !page.contains('\u{1b}') && !page.contains('\u{202e}'));
        let data = data_of(&page);
        assert_eq!(
            data["groups"][0]["text"],
            "ERROR </script><script>alert(1)</script><!--  & \u{2028}"
        );
        assert_eq!(data["files"][0], "/var/log/<b>.log");
    }

    #[test]
    fn the_page_loads_nothing_and_its_policy_forbids_it() {
        assert!(PAGE.contains("default-src 'none'"));
        for reference in [
            "src=",
            "href=",
            "@import",
            "url(",
            "fetch(",
            "innerHTML",
            "insertAdjacentHTML",
        ] {
            assert!(!PAGE.contains(reference), "{reference}");
        }
    }

    #[test]
    fn a_flood_makes_a_page_of_bounded_size_that_says_what_is_missing() {
        let mut report = Report::default();
        let long = format!("ERROR {}", "long line of text\n".repeat(2000));
        for n in 0..700 {
            report.add(&alert(
                Level::Error,
                &n.to_string(),
                &long,
                i64::from(n) * 600,
                &format!("{n}.log"),
                1,
            ));
        }
        let page = page(&mut report);
        assert!(page.len() < 10 << 20, "{}", page.len());
        let data = data_of(&page);
        assert_eq!(data["groups"].as_array().unwrap().len(), GROUPS_MAX);
        assert_eq!(
            (&data["left_out"]["groups"], &data["left_out"]["records"]),
            (&json!(200), &json!(200))
        );
        let plotted: u64 = data["points"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point[3].as_u64().unwrap())
            .sum();
        assert_eq!(plotted, 700);
        assert!(data["groups"][0]["lines_cut"].as_u64().unwrap() > 1000);
    }
}
