//! Values that are known by their shape: tokens that name their issuer, credentials in URLs, hashes of passwords, addresses,
//! card numbers; and key material over several lines.
//!
//! Prefixes are those that the issuers document for secret scanning. Boundaries are ASCII, so that the automaton need not
//! give up at the first letter of another script.

use super::prefilter::{Gate, gates};
use super::{Confirm, LazyRegex, Rule, Set};
use core::ops::Range;

/// Tokens by prefix, for ten and more letters behind it.
const PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glrt-",
    "glptt-",
    "glcbt-",
    "glsoat-",
    "glimt-",
    "glagent-",
    "glft-",
    "gloas-",
    "glffct-",
    "npm_",
    "pypi-",
    "rubygems_",
    "dckr_pat_",
    "dckr_oat_",
    "dop_v1_",
    "doo_v1_",
    "dor_v1_",
    "hf_",
    "r8_",
    "gsk_",
    "shpat_",
    "shpca_",
    "shppa_",
    "shpss_",
    "sk_live_",
    "sk_test_",
    "rk_live_",
    "rk_test_",
    "pk_live_",
    "pk_test_",
    "whsec_",
    "sk-",
    "xoxa-",
    "xoxb-",
    "xoxe-",
    "xoxo-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "xoxe.",
    "xapp-",
    "SG.",
    "AIza",
    "ya29.",
    "GOCSPX-",
    "1//0",
    "AGE-SECRET-KEY-",
    "lin_api_",
    "lin_oauth_",
    "ntn_",
    "secret_",
    "figd_",
    "PMAK-",
    "hvs.",
    "hvb.",
    "hvr.",
    "dapi",
    "glsa_",
    "glc_",
    "NRAK-",
    "NRJS-",
    "sntrys_",
    "sntryu_",
    "pscale_tkn_",
    "pscale_pw_",
    "pscale_oauth_",
    "sbp_",
    "dp.pt.",
    "dp.st.",
    "dp.ct.",
    "dp.sa.",
    "dt0c01.",
    "CCIPAT_",
    "bkua_",
    "squ_",
    "sqp_",
    "sqa_",
    "sq0atp-",
    "sq0csp-",
    "EAAA",
    "AKCp",
    "pul-",
    "ops_ey",
    "pnu_",
    "tfp_",
    "HRKU-",
    "fo1_",
    "nfp_",
    "ATATT3x",
    "ATBB",
    "ATCTT3x",
    "LTAI",
    "AKID",
    "AQVN",
    "y0_",
    "key-",
    "SEC",
    "v1.0-",
    "rnd_",
    "rdme_",
    "phc_",
    "phx_",
    "EAACEdEose0cBA",
];

/// Each with texts of which it cannot do without one (whatever the case), what must stand around that, its group `value`,
/// and what confirms it.
const SHAPES: &[(&[&str], Gate, &str, Confirm)] = &[
    (
        PREFIXES,
        gates::prefix,
        r"(?:^|[^A-Za-z0-9_])(?P<value>(?:{prefixes})[A-Za-z0-9_.=+/~-]{10,})",
        is_token,
    ),
    (
        &["AKIA", "ASIA", "ABIA", "ACCA"],
        gates::open,
        r"(?-u:\b)(?P<value>(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16})(?-u:\b)",
        always,
    ),
    (
        &["FwoGZXIvYXdz", "IQoJb3JpZ2lu"],
        gates::open,
        r"(?-u:\b)(?P<value>(?:FwoGZXIvYXdz|IQoJb3JpZ2lu)[A-Za-z0-9/+=]{16,})",
        always,
    ),
    // JSON Web Tokens, signed or encrypted.
    (
        &["ey"],
        gates::web_token,
        r"(?-u:\b)(?P<value>ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3})",
        always,
    ),
    // Telegram and Discord bots, Twilio, Mailchimp, Terraform Cloud, Azure applications.
    (
        &[":AA"],
        gates::digit_before,
        r"(?-u:\b|/bot)(?P<value>\d{8,10}:AA[A-Za-z0-9_-]{33})",
        always,
    ),
    (
        &["discord"],
        gates::open,
        r"(?-u:\b)(?P<value>[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40})",
        always,
    ),
    (
        &["SK", "-us", ".atlasv1."],
        gates::hex_beside,
        r"(?-u:\b)(?P<value>SK[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{40,})(?-u:\b)",
        always,
    ),
    (
        &["Q~"],
        gates::open,
        r"(?:^|[^A-Za-z0-9])(?P<value>[A-Za-z0-9_~.]{3}\dQ~[A-Za-z0-9_~.-]{31,34})",
        always,
    ),
    // Paths of webhooks are what lets one post to them.
    (
        &["hooks.slack"],
        gates::open,
        r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/(?P<value>[A-Za-z0-9/_-]+)",
        always,
    ),
    (
        &["api/webhooks", "open-apis/bot", "office.com/webhook"],
        gates::open,
        r"(?:discord(?:app)?\.com/api/webhooks|open-apis/bot/(?:v2/)?hook|webhook\.office\.com/webhookb2|outlook\.office\.com/webhook)/(?P<value>[^\s\x22'<>]+)",
        always,
    ),
    (
        &["qyapi.weixin"],
        gates::open,
        r"qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=(?P<value>[A-Za-z0-9-]+)",
        always,
    ),
    // user:password@host; token@host; Go's MySQL, Oracle.
    (
        &["://"],
        gates::at_sign_follows,
        r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s/:@\x22']*:(?P<value>[^\s/\x22'?#]+)@",
        is_password,
    ),
    (
        &["://"],
        gates::at_sign_follows,
        r"[a-zA-Z][a-zA-Z0-9+.-]*://(?P<value>[^\s/:@\x22']+)(?::x-oauth-basic|:)?@",
        is_long,
    ),
    (
        &["@tcp(", "@unix("],
        gates::open,
        r"(?-u:\b)[A-Za-z0-9_.-]+:(?P<value>[^\s@/]+)@(?:tcp|unix)\(",
        always,
    ),
    (
        &["oracle:thin:", "sqlplus"],
        gates::open,
        r"(?i)(?:oracle:thin:|sqlplus\s+)[^\s/@]+/(?P<value>[^\s@]+)@",
        always,
    ),
    // Hashes of passwords: crypt(3), Django, LDAP, SCRAM, Windows.
    (
        &[
            "$1$", "$2$", "$2a$", "$2b$", "$2x$", "$2y$", "$5$", "$6$", "$7$", "$y$", "$apr1$", "$sha1$", "$argon2",
            "$pbkdf2", "$scrypt$",
        ],
        gates::open,
        r"(?P<value>\$(?:1|2[abxy]?|5|6|7|y|apr1|sha1|argon2(?:id|i|d)|pbkdf2[a-z0-9-]*|scrypt)\$[A-Za-z0-9./$=,+]{8,})",
        always,
    ),
    (
        &["pbkdf2_sha", "bcrypt_sha256", "argon2"],
        gates::open,
        r"(?-u:\b)(?P<value>(?:pbkdf2_sha(?:1|256|512)|bcrypt_sha256|argon2)\$[A-Za-z0-9./$=,+]{16,})",
        always,
    ),
    (
        &["{SSHA", "{SHA", "{SMD5}", "{MD5}", "{CRYPT}", "{PBKDF2"],
        gates::open,
        r"\{(?:SSHA|SHA|SMD5|MD5|CRYPT|SSHA256|SSHA512|PBKDF2[A-Z0-9-]*)\}(?P<value>[A-Za-z0-9+/=$.]{8,})",
        always,
    ),
    (
        &["SCRAM-SHA-"],
        gates::open,
        r"SCRAM-SHA-(?:1|256|512)\$\d+:(?P<value>[A-Za-z0-9+/=$:]{16,})",
        always,
    ),
    (
        &["aad3b435b51404ee"],
        gates::open,
        r"(?-u:\b)(?P<value>[0-9a-f]{32}:[0-9a-f]{32})(?-u:\b)",
        always,
    ),
    // Dialogues: SMTP, FTP and POP3, Redis; .netrc; SQL; command lines.
    (
        &["AUTH"],
        gates::blank_follows,
        r"(?-u:\b)AUTH\s+(?:PLAIN|LOGIN|XOAUTH2|CRAM-MD5)\s+(?P<value>[A-Za-z0-9+/=]{4,})",
        always,
    ),
    (
        &["PASS"],
        gates::blank_follows,
        r"(?:[CS]:|>{1,3}|--->|sent:?)\s*PASS\s+(?P<value>\S+)",
        always,
    ),
    (
        &["AUTH"],
        gates::quoted,
        r"(?i)\x22AUTH\x22(?:\s+\x22[^\x22]*\x22)?\s+\x22(?P<value>[^\x22]+)\x22",
        always,
    ),
    (
        &["login"],
        gates::blank_follows,
        r"(?-u:\b)login\s+\S+\s+password\s+(?P<value>\S+)",
        always,
    ),
    (
        &["identified"],
        gates::blank_follows,
        r"(?i)(?-u:\b)identified\s+(?:with\s+\S+\s+)?by\s+(?:password\s+)?['\x22](?P<value>[^'\x22\r\n]+)",
        always,
    ),
    (
        &["-u", "--user"],
        gates::blank_before,
        r"(?i)(?-u:\b)(?:curl|wget|http)(?-u:\b)[^\r\n]*?\s(?:-u|--user)[\s=]+['\x22]?[^\s:'\x22]+:(?P<value>[^\s'\x22]+)",
        always,
    ),
    (
        &["mysql", "mariadb"],
        gates::open,
        r"(?-u:\b)(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)(?-u:\b)[^\r\n]*?\s-p(?P<value>[^\s'\x22-]\S*)",
        always,
    ),
    (
        &["sshpass", "docker", "redis-cli"],
        gates::open,
        r"(?-u:\b)(?:sshpass\s+-p|docker\s+login[^\r\n]*?\s-p|redis-cli[^\r\n]*?\s-a)\s*['\x22]?(?P<value>[^\s'\x22]+)",
        always,
    ),
    // A scheme of HTTP authentication and what follows it; words without a digit are words ("basic settings").
    (
        &["bearer", "basic"],
        gates::blank_follows,
        r"(?i)(?-u:\b)(?:bearer|basic)\s+(?P<value>[a-z0-9+/_.=~-]{8,})",
        has_digit,
    ),
];

const EMAIL: &str = r"(?P<value>[\p{L}0-9][\p{L}0-9._%+-]*@(?:[\p{L}0-9](?:[\p{L}0-9-]*[\p{L}0-9])?\.)+\p{L}{2,})";
const IPV4: &str = r"(?P<value>(?:\d{1,3}\.){3}\d{1,3})";
const IPV6: &str = r"(?i)(?P<value>[0-9a-f]{0,4}:[0-9a-f:]*:[0-9a-f.:]*[0-9a-f]{0,4})";
const CARD: &str = r"(?P<value>\d(?:[ -]?\d){12,18})";

/// The rules of a built-in set.
pub fn rules(set: Set) -> Vec<Rule> {
    let rule = |name: &str, needles, gate, pattern: &str, confirm| Rule {
        name: name.to_owned(),
        needles,
        gate,
        regex: LazyRegex::new(pattern.to_owned()),
        confirm,
        number: None,
    };
    let anywhere = |name, needles, pattern, confirm| rule(name, needles, gates::open as Gate, pattern, confirm);
    match set {
        Set::Secrets => {
            let prefixes: Vec<String> = PREFIXES.iter().map(|prefix| regex::escape(prefix)).collect();
            let prefixes = prefixes.join("|");
            // Not `secret`, which is one of the keys whose values are redacted.
            let rule = |(needles, gate, pattern, confirm): &(&'static [&'static str], Gate, &str, Confirm)| {
                let pattern = pattern.replace("{prefixes}", &prefixes);
                rule(super::SECRET, needles, *gate, &pattern, *confirm)
            };
            SHAPES.iter().map(rule).collect()
        }
        Set::Emails => vec![anywhere("email", &["@"], EMAIL, is_no_repository)],
        Set::Ips => vec![
            anywhere("ip", &["."], IPV4, is_ipv4),
            anywhere("ip", &[":"], IPV6, is_ipv6),
        ],
        Set::Cards => vec![anywhere("card", &[], CARD, is_card)],
    }
}

pub fn always(_: &str, _: &Range<usize>) -> bool {
    true
}

/// `sk-learn-contrib-packages` and `secret_manager_client` are names: a token is random.
fn is_token(text: &str, at: &Range<usize>) -> bool {
    let word = &text[at.clone()];
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let both = word.bytes().any(|b| b.is_ascii_uppercase()) && word.bytes().any(|b| b.is_ascii_lowercase());
    let longest = word.split(['-', '_', '.', '/']).map(str::len).max().unwrap_or(0);
    longest >= 10 && (digits >= 2 || digits == 1 && both || both && longest >= 20)
}

/// Not a placeholder; not a port with a path behind it.
fn is_password(text: &str, at: &Range<usize>) -> bool {
    let word = &text[at.clone()];
    !(word.bytes().all(|b| b == b'*' || b == b'x') || word.starts_with("${") || word.starts_with("<"))
}

/// A name is shorter, and has no digits in so many places.
fn is_long(text: &str, at: &Range<usize>) -> bool {
    let word = &text[at.clone()];
    word.len() >= 20 && word.bytes().filter(u8::is_ascii_digit).count() >= 3
}

fn has_digit(text: &str, at: &Range<usize>) -> bool {
    text[at.clone()].bytes().any(|byte| byte.is_ascii_digit())
}

/// `git@github.com:owner/name` is an address to fetch from.
fn is_no_repository(text: &str, at: &Range<usize>) -> bool {
    !(text[at.clone()].starts_with("git@") && text[at.end..].starts_with([':', '/']))
}

/// Not within a longer number: `1.3.6.1.4.1` is an object identifier, `v1.2.3.4` a version.
fn is_ipv4(text: &str, at: &Range<usize>) -> bool {
    let (before, after) = (&text[..at.start], &text[at.end..]);
    let within = before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
        || before
            .strip_suffix(['.', '-'])
            .is_some_and(|rest| rest.ends_with(|c: char| c.is_alphanumeric()))
        || after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        || after
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let before = before.trim_end().trim_end_matches([':', '=']);
    let version = before.len() >= 7
        && before
            .get(before.len() - 7..)
            .is_some_and(|word| word.eq_ignore_ascii_case("version"));
    !within && !version && text[at.clone()].parse::<core::net::Ipv4Addr>().is_ok()
}

/// `ab::cd` is a path of some language, `12:34:56` a time.
fn is_ipv6(text: &str, at: &Range<usize>) -> bool {
    let word = text[at.clone()].trim_end_matches(':');
    let word = if text[at.clone()].ends_with("::") {
        &text[at.clone()]
    } else {
        word
    };
    let within = text[..at.start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, ':' | '_' | '.' | '>'))
        || text[at.end..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':'));
    let digits = word.bytes().any(|b| b.is_ascii_digit());
    !within && digits && word.parse::<core::net::Ipv6Addr>().is_ok()
}

/// The issuer's first digits with the lengths it gives (ISO/IEC 7812-1), and the check digit.
fn is_card(text: &str, at: &Range<usize>) -> bool {
    let alone = !text[..at.start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !text[at.end..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let digits: Vec<u32> = text[at.clone()].chars().filter_map(|c| c.to_digit(10)).collect();
    let begin = digits.iter().take(4).fold(0, |number, digit| number * 10 + digit);
    let issued = match (begin, digits.len()) {
        (4000..=4999, 13 | 16 | 19) => true,
        (5100..=5599 | 2221..=2720 | 3528..=3589, 16) => true,
        (3400..=3499 | 3700..=3799, 15) => true,
        (3000..=3059 | 3600..=3699 | 3800..=3999, 14..=16) => true,
        (6011 | 6440..=6599 | 6200..=6299, 16..=19) => true,
        (5000..=5099 | 5600..=5899 | 6000..=6999, 13..=19) => text[at.clone()].contains([' ', '-']),
        _ => false,
    };
    let doubled = |(n, digit): (usize, &u32)| {
        if n % 2 == 0 {
            *digit
        } else {
            digit * 2 / 10 + digit * 2 % 10
        }
    };
    let sum: u32 = digits.iter().rev().enumerate().map(doubled).sum();
    alone && issued && sum.is_multiple_of(10)
}
