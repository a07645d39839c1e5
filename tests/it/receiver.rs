//! An HTTP receiver of ours, for faults that real servers do not commit on demand: refused, 503, hangs, resets, half
//! answers. What real servers do is tested against real servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came over.
    pub connection: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, extra header lines, body.
    Answer(u16, &'static str, String),
    /// These bytes, then the end of the connection.
    Raw(&'static str),
    /// Nothing, until the client gives up.
    Hang,
}

pub fn answer(status: u16) -> Reply {
    Reply::Answer(status, "", String::new())
}

/// Lives as long as the process; answers as its script says.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

type Script = Arc<Mutex<dyn FnMut(&Request) -> Reply + Send>>;

impl Receiver {
    pub fn start(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("an address"), script)
    }

    pub fn start_on(address: SocketAddr, script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("a bound listener");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, script): (_, Script) = (requests.clone(), Arc::new(Mutex::new(script)));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (seen, script) = (seen.clone(), script.clone());
                // An error is the client's end of the connection: what it means is what the tests look at there.
                std::thread::spawn(move || drop(stream.and_then(|stream| serve(stream, connection, &seen, &script))));
            }
        });
        Self { address, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn count(&self) -> usize {
        self.requests.lock().expect("no test panics within").len()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no test panics within").clone()
    }
}

fn serve(stream: TcpStream, connection: usize, seen: &Mutex<Vec<Request>>, script: &Script) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let Some(request) = read(&mut reader, connection)? else {
            return Ok(());
        };
        let reply = script.lock().expect("no script panics")(&request);
        seen.lock().expect("no test panics within").push(request);
        match reply {
            Reply::Answer(status, headers, body) => {
                let length = if status == 204 {
                    String::new()
                } else {
                    format!("Content-Length: {}\r\n", body.len())
                };
                // In one write: in several, each waits for the acknowledgement of the last.
                let answer = format!("HTTP/1.1 {status} Whatever\r\n{length}{headers}\r\n{body}");
                writer.write_all(answer.as_bytes())?;
            }
            Reply::Raw(bytes) => return writer.write_all(bytes.as_bytes()),
            Reply::Hang => {
                writer.set_read_timeout(Some(Duration::from_secs(60)))?;
                reader.read_exact(&mut [0])?;
            }
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>, connection: usize) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut request = Request {
        line: line.trim_end().to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        connection,
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = request
        .header("Content-Length")
        .map_or(0, |value| value.parse().expect("a length"));
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
