//! A plain reverse proxy as most people have one, with connections to Writ that stay open.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::net::TcpStream;

/// How long it may take to listen.
const START_TIME_MAX: Duration = Duration::from_secs(10);

/// nginx, until dropped.
pub(super) struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where the program is: Debian keeps it out of the path of people.
pub(super) fn find() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];
    folders.iter().map(|folder| Path::new(folder).join("nginx")).find(|program| program.exists())
}

/// Starts it before `upstream`; its port. It cannot choose a free one itself, so one that was free a moment ago is tried.
pub(super) async fn start(program: &Path, folder: &Path, upstream: &str) -> (Nginx, u16) {
    std::fs::create_dir(folder).unwrap();
    let (config, log) = (folder.join("nginx.conf"), folder.join("error.log"));
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(&config, text(folder, port, upstream)).unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(folder).arg("-c").arg(&config).arg("-e").arg(&log);
        let mut proxy = Nginx(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if proxy.0.try_wait().unwrap().is_some() {
                    return false;
                }
                tokio::task::yield_now().await;
            }
            true
        };
        if tokio::time::timeout(START_TIME_MAX, listens).await.expect("nginx listens or ends") {
            return (proxy, port);
        }
    }
    panic!("nginx does not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
}

fn text(folder: &Path, port: u16, upstream: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream writ {{ server {upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://writ; proxy_http_version 1.1; proxy_set_header Connection \"\";
            proxy_set_header Host $http_host; proxy_buffering off; proxy_request_buffering off;
        }}
    }}
}}
"
    )
}
