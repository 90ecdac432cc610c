//! The client against servers that misbehave; against one that behaves, see the sample's tests.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use base::Secret;

use super::{Client, ClientError, Credential, Prove};

/// Answers one connection after the other with these bytes, closes each, and hands over what was asked.
async fn answering(answers: &'static [&'static str]) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let (heard, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut request = vec![0; 64 * 1024];
            let read = socket.read(&mut request).await.expect("a request");
            heard.send(String::from_utf8_lossy(&request[..read]).into_owned()).expect("a listening test");
            socket.write_all(answer.as_bytes()).await.expect("a reader");
        }
    });
    (url, asked)
}

async fn failure(bytes: &'static str) -> ClientError {
    let answers: &'static [&'static str] = Box::leak(Box::new([bytes]));
    match Client::connect(&answering(answers).await.0, Credential::Nothing).await {
        Ok(_) => panic!("connected to {bytes:?}"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_challenge_is_kept() {
    let error = failure(
        "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer resource_metadata=\"x\"\r\n\
         www-authenticate: DPoP algs=\"ES256\"\r\ncontent-length: 2\r\n\r\nno",
    );
    let ClientError::Refused { status, challenge, body } = error.await else { panic!("another error") };
    assert_eq!((status.as_u16(), body.as_str()), (401, "no"));
    assert_eq!(challenge, "Bearer resource_metadata=\"x\"\nDPoP algs=\"ES256\"");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
               8\r\ndata: {}\r\n";
    assert!(matches!(failure(cut).await, ClientError::Cut));
    let ended =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 10\r\n\r\ndata: {}\n\n";
    assert!(matches!(failure(ended).await, ClientError::Cut), "ended without a response");
}

#[tokio::test]
async fn garbage_is_named() {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi";
    assert!(matches!(failure(html).await, ClientError::Protocol(text) if text.contains("text/html")));
    let torn = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{]";
    assert!(matches!(failure(torn).await, ClientError::Protocol(text) if text.contains("not JSON")));
    assert!(matches!(failure("nonsense\r\n\r\n").await, ClientError::Transport(_)));
}

#[tokio::test]
async fn an_rpc_error_keeps_code_message_and_data() {
    let body = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 84\r\n\r\n\
        {\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32042,\"message\":\"ask maya\",\"data\":{\"a\":1}}}";
    let ClientError::Rpc { code, message, data } = failure(body).await else { panic!("another error") };
    assert_eq!((code, message.as_str(), data["a"].as_u64()), (-32042, "ask maya", Some(1)));
}

/// A proof that shows for what it was made.
struct Echo;

impl Prove for Echo {
    fn prove(
        &self,
        method: &str,
        _url: &str,
        _token: &Secret,
        nonce: Option<&str>,
    ) -> Result<String, String> {
        Ok(format!("{method}+{}", nonce.unwrap_or("none")))
    }
}

#[tokio::test]
async fn a_nonce_is_taken_up_once() {
    const WANTS: &str =
        "HTTP/1.1 401 Unauthorized\r\ndpop-nonce: n-7\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let (url, mut asked) = answering(&[WANTS, WANTS]).await;
    let credential = Credential::Dpop { token: Secret::new("t".into()), key: Box::new(Echo) };
    let refused = Client::connect(&url, credential).await;
    assert!(
        matches!(refused, Err(ClientError::Refused { status, .. }) if status == 401),
        "not asked a third time"
    );
    assert!(asked.recv().await.expect("a request").contains("POST+none"));
    assert!(asked.recv().await.expect("a request").contains("POST+n-7"));
}

#[tokio::test]
async fn a_credential_that_no_header_can_hold_is_refused_without_showing_it() {
    let (url, _) = answering(&[]).await;
    let Err(error) = Client::connect(&url, Credential::Bearer(Secret::new("se\ncret".into()))).await else {
        panic!("connected")
    };
    assert!(!error.to_string().contains("cret"), "{error}");
}
