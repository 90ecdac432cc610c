//! The client against addresses that it must refuse and servers that misbehave.

use base::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{ApiClient, ApiError};
use crate::cli::exit::{Exit, Trouble};

fn client(base: &str) -> Result<ApiClient, ApiError> {
    ApiClient::new(base, Some(Secret::new("t0ken".into())), None)
}

/// Answers one request with these bytes and closes; hands over what was asked.
async fn answering(answer: String) -> (ApiClient, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (heard, asked) = oneshot::channel();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 64 * 1024];
        let read = socket.read(&mut request).await.unwrap();
        // Most tests do not want to know.
        drop(heard.send(String::from_utf8_lossy(&request[..read]).into_owned()));
        socket.write_all(answer.as_bytes()).await.unwrap();
    });
    (client, asked)
}

async fn get(status: &str, body: &str) -> Result<serde_json::Value, ApiError> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    let (client, _) = answering(head + body).await;
    client.get(&client.at(&["x"])).await
}

async fn exit(status: &str, body: &str) -> (Exit, String) {
    let trouble = Trouble::from(get(status, body).await.unwrap_err());
    (trouble.exit, trouble.what)
}

#[test]
fn a_token_never_travels_in_the_clear() {
    for good in ["https://writ.example", "http://127.0.0.1:8420", "http://localhost/x", "http://[::1]:1"] {
        assert!(client(good).is_ok(), "{good}");
    }
    for bad in [
        "http://writ.example",
        "http://127.0.0.1.evil.example",
        "http://10.0.0.1",
        "writ.example",
        "ftp://localhost",
        "mailto:a@b",
        "https://u:p@writ.example",
    ] {
        assert!(client(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_form_carries_its_own_proof_and_not_the_token() {
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (client, asked) = answering(body.into()).await;
    let endpoint = client.outside(&["oauth2", "token"]).0;
    client.form(endpoint.as_str(), &[("a", "1 & 2")], &[]).await.unwrap();
    let asked = asked.await.unwrap().to_lowercase();
    assert!(asked.contains("a=1+%26+2") && !asked.contains("t0ken"), "{asked}");
    assert!(client.form("http://writ.example/token", &[("a", "b")], &[]).await.is_err());

    let (client, asked) = answering(body.into()).await;
    client.get(&client.at(&["self"])).await.unwrap();
    assert!(asked.await.unwrap().contains("Bearer t0ken"));
}

#[test]
fn every_part_of_a_path_is_one_segment() {
    let client = client("https://writ.example/below/").unwrap();
    let target = client.at(&["tools", "shop", "../a/b?c#d"]).with("x", Some("1&2")).with("y", None::<u8>);
    assert_eq!(target.0.as_str(), "https://writ.example/below/api/v1/tools/shop/..%2Fa%2Fb%3Fc%23d?x=1%262");
}

#[tokio::test]
async fn refusals_keep_code_and_reason_and_end_with_their_exit_code() {
    let body = r#"{"code":"agent_retired","message":"it is over","help":"make a new one"}"#;
    let trouble = Trouble::from(get("409 Conflict", body).await.unwrap_err());
    assert_eq!((trouble.exit, trouble.what.as_str()), (Exit::Conflict, "it is over (agent_retired)"));
    assert_eq!(trouble.help.as_deref(), Some("make a new one"));

    let oauth = r#"{"error":"invalid_client","error_description":"who?"}"#;
    assert_eq!(exit("401 Unauthorized", oauth).await, (Exit::Login, "who? (invalid_client)".into()));
    assert_eq!(exit("403 Forbidden", "{}").await.0, Exit::Denied);
    assert_eq!(exit("404 Not Found", "<html>").await.0, Exit::Failed);
    assert_eq!(exit("429 Too Many Requests", "").await.0, Exit::Unavailable);
    assert_eq!(exit("503 Service Unavailable", "[]").await.0, Exit::Unavailable);
    assert_eq!(exit("500 Internal Server Error", "{}").await.0, Exit::Failed);
    assert_eq!(exit("302 Found", "").await.0, Exit::Failed, "no redirect is followed");
}

#[tokio::test]
async fn an_answer_that_is_not_strict_json_is_refused() {
    for body in ["<html>", "{\"a\":1,\"a\":2}", "{\"a\":1} x", "{\"a\":", "\u{feff}{}"] {
        assert!(matches!(get("200 OK", body).await, Err(ApiError::Malformed(_))), "{body}");
    }
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}";
    let (client, _) = answering(cut.into()).await;
    assert!(matches!(client.get(&client.at(&["x"])).await, Err(ApiError::Malformed(_))));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let trouble = Trouble::from(client.get(&client.at(&["x"])).await.unwrap_err());
    assert_eq!(trouble.exit, Exit::Unavailable);
    assert!(!format!("{trouble:?}").contains("t0ken"));
}
