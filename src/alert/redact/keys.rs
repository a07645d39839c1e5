//! Whether a key names a secret: `dbPassword`, `X-API-Key` and `spring.datasource.password` do, `max_tokens`,
//! `password_reset_count` and `compass` do not.
//!
//! A key is taken apart into its words; the last one that says something decides. What a value must look like depends on
//! how sure the key is, see [`Kind`].

/// What a key promises of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The rest of the line: `Authorization`, `Cookie`.
    Line,
    /// A password or code: whatever it is.
    Password,
    /// A token or key: not a word of prose, not a small number.
    Token,
    /// A count as often as a secret (`tokens`): not a number.
    Tokens,
    /// Only what looks random: `sid`, `sig`, `auth`.
    Shaped,
}

/// Words that key and value may have between them, and that change nothing.
const NEUTRAL: [&str; 26] = [
    "value",
    "val",
    "text",
    "string",
    "str",
    "plain",
    "plaintext",
    "confirm",
    "confirmation",
    "again",
    "repeat",
    "hash",
    "hashed",
    "digest",
    "base64",
    "b64",
    "encoded",
    "encrypted",
    "raw",
    "current",
    "new",
    "old",
    "prod",
    "dev",
    "staging",
    "env",
];
const PASSWORD_ENDS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passwort",
    "kennwort",
    "pwd",
    "pswd",
    "passw",
];
const TOKEN_ENDS: [&str; 16] = [
    "token",
    "secret",
    "secrets",
    "apikey",
    "secretkey",
    "accesskey",
    "privatekey",
    "authkey",
    "encryptionkey",
    "masterkey",
    "signingkey",
    "sharedkey",
    "accountkey",
    "credential",
    "credentials",
    "creds",
];
/// `userpass`, but not `compass`.
const BEFORE_PASS: [&str; 16] = [
    "", "db", "user", "my", "sql", "mysql", "pg", "smtp", "root", "admin", "ssh", "key", "store", "ftp", "ldap",
    "redis",
];
/// Of a `key` that is secret.
const KEY_QUALIFIERS: [&str; 28] = [
    "api",
    "access",
    "secret",
    "private",
    "priv",
    "encryption",
    "decryption",
    "signing",
    "account",
    "shared",
    "master",
    "auth",
    "client",
    "license",
    "subscription",
    "storage",
    "session",
    "hmac",
    "symmetric",
    "service",
    "app",
    "application",
    "routing",
    "integration",
    "consumer",
    "wrapping",
    "aes",
    "data",
];
/// Of a `code` that is secret.
const CODE_QUALIFIERS: [&str; 10] = [
    "verification",
    "auth",
    "authorization",
    "security",
    "access",
    "pin",
    "otp",
    "sms",
    "2fa",
    "mfa",
];
/// In other languages; they stand alone, without words around them.
pub const FOREIGN: [&str; 15] = [
    "密码",
    "密碼",
    "口令",
    "密钥",
    "密鑰",
    "令牌",
    "パスワード",
    "비밀번호",
    "пароль",
    "Пароль",
    "contraseña",
    "mot de passe",
    "senha",
    "ｐａｓｓｗｏｒｄ",
    "ｔｏｋｅｎ",
];
/// Whatever key is secret has one of these in it.
pub const STEMS: [&str; 20] = [
    "pass", "pwd", "pswd", "kennwort", "secret", "token", "cred", "key", "auth", "sid", "sess", "otp", "cvv", "cvc",
    "psk", "sig", "cookie", "code", "ssn", "jwt",
];

/// What the words of a key say; none: no secret.
pub fn kind(key: &str) -> Option<Kind> {
    let words = words(key);
    let mut words = words.as_str();
    while let Some((before, last)) = words.rsplit_once(' ')
        && (NEUTRAL.contains(&last) || last.bytes().all(|b| b.is_ascii_digit()))
    {
        words = before;
    }
    let (before, last) = words.rsplit_once(' ').unwrap_or(("", words));
    let any_before = |qualifiers: &[&str]| before.split(' ').any(|word| qualifiers.contains(&word));
    let is_pass = last
        .strip_suffix("pass")
        .is_some_and(|before| BEFORE_PASS.contains(&before));
    match last {
        "authorization" | "cookie" => Some(Kind::Line),
        "psk" | "otp" | "totp" | "cvv" | "cvv2" | "cvc" | "ssn" => Some(Kind::Password),
        "code" if any_before(&CODE_QUALIFIERS) => Some(Kind::Password),
        _ if is_pass || PASSWORD_ENDS.iter().any(|end| last.ends_with(end)) => Some(Kind::Password),
        "key" if any_before(&KEY_QUALIFIERS) => Some(Kind::Token),
        "id" if before == "access key" || before.ends_with(" access key") => Some(Kind::Token),
        "jwt" | "bearer" => Some(Kind::Token),
        _ if last.ends_with("tokens") => Some(Kind::Tokens),
        _ if TOKEN_ENDS.iter().any(|end| last.ends_with(end)) => Some(Kind::Token),
        "sid" | "sig" | "signature" | "auth" | "session" | "sessionid" | "sessid" | "jsessionid" | "phpsessid" => {
            Some(Kind::Shaped)
        }
        "id" if any_before(&["session", "sess"]) => Some(Kind::Shaped),
        _ => None,
    }
}

/// `X-API-Key` and `dbPassword2` in lower case, a blank between words: `x api key`, `db password 2`.
fn words(key: &str) -> String {
    let mut words = String::with_capacity(2 * key.len());
    let mut previous = None;
    let mut letters = key.chars().peekable();
    while let Some(c) = letters.next() {
        if !c.is_alphanumeric() {
            previous = None;
            continue;
        }
        let begins = match previous {
            None => true,
            Some(before @ 'A'..='Z') => {
                c.is_ascii_digit() != before.is_ascii_digit()
                    || c.is_ascii_uppercase() && letters.peek().is_some_and(char::is_ascii_lowercase)
            }
            Some(before) => {
                c.is_ascii_uppercase() || c.is_ascii_digit() && !before.is_ascii_digit() && letters.peek().is_none()
            }
        };
        if begins && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
        previous = Some(c);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_secret_by_its_last_word() {
        for key in [
            "password",
            "dbPassword",
            "DB_PASSWORD",
            "PGPASSWORD",
            "X-API-Key",
            "apiKey",
            "APIKey",
            "aws_secret_access_key",
            "accessKeyId",
            "client-secret",
            "spring.datasource.password",
            "password2",
            "password_confirmation",
            "userpass",
            "_authToken",
            "Set-Cookie",
            "HTTP_AUTHORIZATION",
            "Ocp-Apim-Subscription-Key",
            "verification_code",
            "ssid_psk",
        ] {
            assert!(kind(key).is_some(), "{key}");
        }
        for key in [
            "compass",
            "bypass",
            "passed",
            "passenger",
            "side",
            "inside",
            "tokenizer",
            "token_count",
            "password_reset_count",
            "password_file",
            "secret_name",
            "key",
            "primary_key",
            "cache-key",
            "code",
            "status_code",
            "InvalidTokenException",
            "keyboard",
            "monkey",
            "author",
            "authority",
            "www-authenticate",
            "signal",
            "session_count",
            "token_type",
            "expires",
            "keepalive",
            "passive",
            "encode",
            "public_key",
        ] {
            assert_eq!(kind(key), None, "{key}");
        }
        assert_eq!(kind("max_tokens"), Some(Kind::Tokens));
    }
}
