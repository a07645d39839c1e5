//! The redactor: every text passes here on its way out of the process or into the state.
//!
//! There is one call site, [`Redactor::apply`], in `compose`: ids and fingerprints are computed before it, everything
//! that is stored, sent or shown after it.

use super::Alert;

/// The patterns in force. None are built in yet: `redact: []` is the only setting, and `apply` leaves texts as they are.
#[derive(Debug, Clone, Default)]
pub struct Redactor {}

impl Redactor {
    /// Replaces what must not be seen in all texts of an alert: text, title, message, template, fields, captures,
    /// context, path.
    pub fn apply(&self, alert: &mut Alert) {
        // Exhaustive on purpose: a new field with text in it must be named here before it can leave.
        let Alert {
            text,
            title,
            message,
            template,
            fields,
            detectors,
            context,
            source,
            ..
        } = alert;
        let plain = [
            Some(title),
            text.as_mut(),
            message.as_mut(),
            template.as_mut(),
            source.as_mut().map(|s| &mut s.path),
        ];
        plain.into_iter().flatten().for_each(|text| self.redact(text));
        context
            .before
            .iter_mut()
            .chain(&mut context.after)
            .for_each(|text| self.redact(text));
        let values = fields
            .values_mut()
            .chain(detectors.iter_mut().flat_map(|finding| finding.captures.values_mut()));
        values.for_each(|value| self.redact_value(value));
    }

    fn redact_value(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => self.redact(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.redact_value(item)),
            serde_json::Value::Object(map) => map.values_mut().for_each(|value| self.redact_value(value)),
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
        }
    }

    fn redact(&self, _text: &mut String) {}
}
