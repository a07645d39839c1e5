//! SASL for Kafka (KIP-43, KIP-152): PLAIN (RFC 4616), SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677).
//!
//! The server's signature is checked: a SCRAM server that does not know the password is not believed.

use super::wire::{Connection, blocked, retry};
use crate::alerter::SendError;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;
use sha2::{Digest as _, Sha256, Sha512};

/// A server that asks for more would cost us seconds per connection: it is wrong, or means no good.
const ITERATIONS_MAX: u32 = 1_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub fn as_str(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

#[derive(Clone)]
pub(super) struct Login {
    pub mechanism: Mechanism,
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({} as {})", self.mechanism.as_str(), self.username)
    }
}

pub(super) fn log_in(connection: &mut Connection, login: &Login) -> Result<(), SendError> {
    let mechanism = StrBytes::from_static_str(login.mechanism.as_str());
    let handshake = connection.call(1, &SaslHandshakeRequest::default().with_mechanism(mechanism))?;
    if handshake.error_code != 0 {
        let offered: Vec<&str> = handshake.mechanisms.iter().map(|mechanism| &**mechanism).collect();
        let what = format!(
            "no {}; the broker offers {}",
            login.mechanism.as_str(),
            offered.join(", ")
        );
        return Err(blocked(connection.address(), &what));
    }
    let hash = match login.mechanism {
        Mechanism::Plain => {
            say(
                connection,
                format!("\0{}\0{}", login.username, login.password).as_bytes(),
            )?;
            return Ok(());
        }
        Mechanism::ScramSha256 => Hash::Sha256,
        Mechanism::ScramSha512 => Hash::Sha512,
    };
    let scram = Scram::new(hash, login, &nonce(connection.address())?);
    let challenge = say(connection, scram.first().as_bytes())?;
    let (last, signature) = scram
        .last(&challenge, &login.password)
        .map_err(|what| retry(connection.address(), &what))?;
    let verdict = say(connection, last.as_bytes())?;
    let given = verdict
        .strip_prefix("v=")
        .and_then(|v| BASE64_STANDARD.decode(v.split(',').next().unwrap_or("")).ok());
    if given != Some(signature) {
        return Err(blocked(
            connection.address(),
            "SCRAM: the server does not prove that it knows the password",
        ));
    }
    Ok(())
}

fn say(connection: &mut Connection, bytes: &[u8]) -> Result<String, SendError> {
    let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::copy_from_slice(bytes));
    let answer = connection.call(2, &request)?;
    if answer.error_code != 0 {
        let why = answer.error_message.as_deref().unwrap_or("");
        return Err(blocked(
            connection.address(),
            &format!("authentication failed: {}", crate::alert::render::one_line(why)),
        ));
    }
    Ok(String::from_utf8_lossy(&answer.auth_bytes).into_owned())
}

fn nonce(address: &str) -> Result<String, SendError> {
    let mut bytes = [0; 18];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| retry(address, "the system has no random numbers"))?;
    Ok(BASE64_STANDARD.encode(bytes))
}

#[derive(Debug, Clone, Copy)]
enum Hash {
    Sha256,
    Sha512,
}

impl Hash {
    fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        const ANY: &str = "HMAC takes keys of any length";
        match self {
            Hash::Sha256 => Hmac::<Sha256>::new_from_slice(key)
                .expect(ANY)
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
            Hash::Sha512 => Hmac::<Sha512>::new_from_slice(key)
                .expect(ANY)
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec(),
        }
    }

    /// `Hi` of RFC 5802: PBKDF2 with one block.
    fn stretched(self, password: &[u8], salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut block = self.hmac(password, &[salt, &1u32.to_be_bytes()].concat());
        let mut result = block.clone();
        for _ in 1..iterations {
            block = self.hmac(password, &block);
            result.iter_mut().zip(&block).for_each(|(r, b)| *r ^= b);
        }
        result
    }
}

/// One SCRAM dialogue; without channel binding, as Kafka's brokers have none.
#[derive(Debug)]
struct Scram {
    hash: Hash,
    nonce: String,
    first_bare: String,
}

impl Scram {
    fn new(hash: Hash, login: &Login, nonce: &str) -> Self {
        let username = login.username.replace('=', "=3D").replace(',', "=2C");
        Self {
            hash,
            nonce: nonce.to_owned(),
            first_bare: format!("n={username},r={nonce}"),
        }
    }

    fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The second message, and the signature that the server must answer with.
    fn last(&self, challenge: &str, password: &str) -> Result<(String, Vec<u8>), String> {
        let attribute = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = attribute("r=").filter(|nonce| nonce.starts_with(&self.nonce) && nonce.len() > self.nonce.len());
        let salt = attribute("s=").and_then(|salt| BASE64_STANDARD.decode(salt).ok());
        let iterations = attribute("i=")
            .and_then(|i| i.parse().ok())
            .filter(|i| (1..=ITERATIONS_MAX).contains(i));
        let (Some(nonce), Some(salt), Some(iterations)) = (nonce, salt, iterations) else {
            return Err("SCRAM: a challenge that is none".to_owned());
        };
        let salted = self.hash.stretched(password.as_bytes(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let without_proof = format!("c=biws,r={nonce}");
        let dialogue = format!("{},{challenge},{without_proof}", self.first_bare);
        let signature = self.hash.hmac(&self.hash.digest(&client_key), dialogue.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(&signature)
            .map(|(key, signature)| key ^ signature)
            .collect();
        let server_signature = self
            .hash
            .hmac(&self.hash.hmac(&salted, b"Server Key"), dialogue.as_bytes());
        Ok((
            format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)),
            server_signature,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn scram_sha_256_is_that_of_the_rfc() {
        let login = Login {
            mechanism: Mechanism::ScramSha256,
            username: "user".to_owned(),
            password: "pencil".to_owned(),
        };
        let scram = Scram::new(Hash::Sha256, &login, "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (last, signature) = scram.last(challenge, "pencil").unwrap();
        assert_eq!(
            last,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            BASE64_STANDARD.encode(signature),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn a_challenge_with_another_nonce_or_endless_work_is_refused() {
        let login = Login {
            mechanism: Mechanism::ScramSha512,
            username: "u".to_owned(),
            password: "p".to_owned(),
        };
        let scram = Scram::new(Hash::Sha512, &login, "mine");
        for challenge in [
            "r=theirs,s=AAAA,i=4096",
            "r=mine,s=AAAA,i=4096",
            "r=mine2,s=AAAA,i=4000000000",
            "r=mine2,i=1",
            "",
        ] {
            assert!(scram.last(challenge, "p").is_err(), "{challenge}");
        }
    }
}
