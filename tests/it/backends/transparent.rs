//! Connections to the backend from the client's own address, in three network namespaces of the test's own: a client, the
//! proxy, and a backend that answers with the address it sees. The routes are those of the README.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::support::nginx::Nginx;
use crate::support::program::{Program, Setup};

const PROXY: &str = "http://10.71.1.1:8080/";
const PROXY6: &str = "http://[fd71:1::1]:8080/";
const LEGACY: &str = "api/v3/onezone/groups/abc/users/token";

/// A network namespace; it ends with the process that holds it.
struct Namespace(Child);

impl Namespace {
    #[track_caller]
    fn new() -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo held && exec sleep 900"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed (Debian package util-linux)");
        let mut held = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut held).unwrap();
        assert_eq!(held, "held\n", "no network namespace can be made here: it takes root, or CAP_SYS_ADMIN");
        let namespace = Namespace(holder);
        namespace.ip("link set lo up");
        namespace
    }

    fn path(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.0.id())
    }

    fn run(&self, command: &[&str]) -> Output {
        let output = Command::new("nsenter").arg(self.path()).args(command).output();
        output.expect("nsenter is installed (Debian package util-linux)")
    }

    /// Configures the network: `ip` with these words.
    #[track_caller]
    fn ip(&self, words: &str) {
        let command: Vec<&str> = ["ip"].into_iter().chain(words.split(' ')).collect();
        let output = self.run(&command);
        let reason = "`ip` has failed, or is missing (Debian package iproute2)";
        assert!(output.status.success(), "{reason}: {words}: {output:?}");
    }

    /// Asks with curl; the status and the body.
    #[track_caller]
    fn curl(&self, arguments: &[&str]) -> (String, String) {
        let common = ["curl", "-gsS", "--max-time", "20", "-w", "\n%{http_code}"];
        let command: Vec<&str> = common.iter().chain(arguments).copied().collect();
        let output = self.run(&command);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.to_owned(), body.to_owned())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The three of them, and a backend that says whom it sees.
struct Network {
    client: Namespace,
    proxy: Namespace,
    backends: Vec<Nginx>,
    // Last, so that what runs in it ends first.
    _backend: Namespace,
}

impl Network {
    fn new() -> Self {
        let (client, proxy, backend) = (Namespace::new(), Namespace::new(), Namespace::new());
        let connect = |one: &Namespace, other: &str, near: &str, net: &str| {
            one.ip(&format!("link add eth0 type veth peer name {near} netns {other}"));
            one.ip(&format!("addr add 10.71.{net}.2/24 dev eth0"));
            one.ip(&format!("addr add 10.71.{net}.3/24 dev eth0"));
            one.ip(&format!("addr add fd71:{net}::2/64 dev eth0 nodad"));
            one.ip("link set eth0 up");
            proxy.ip(&format!("addr add 10.71.{net}.1/24 dev {near}"));
            proxy.ip(&format!("addr add fd71:{net}::1/64 dev {near} nodad"));
            proxy.ip(&format!("link set {near} up"));
        };
        let holder = proxy.0.id().to_string();
        connect(&client, &holder, "clients", "1");
        connect(&backend, &holder, "backend", "2");
        // The recipe. On the backend: what goes to clients goes through the proxy's machine.
        backend.ip("route add 10.71.1.0/24 via 10.71.2.1");
        backend.ip("-6 route add fd71:1::/64 via fd71:2::1");
        // On the proxy's machine: what comes from the backend is for us, whatever address it is sent to.
        for family in ["-4", "-6"] {
            proxy.ip(&format!("{family} rule add iif backend lookup 100"));
            proxy.ip(&format!("{family} route add local default dev lo table 100"));
        }
        let within = ["nsenter", &backend.path()];
        let text = r#"{\"token\":\"$remote_addr $connection_requests $http_x_forwarded_for\"}"#;
        let backends = ["10.71.2.2:80", "[fd71:2::2]:80"].map(|address| {
            let nginx = Nginx::answering(address.parse().unwrap(), text, &within);
            let url = format!("http://{address}/");
            let test = ["curl", "-gs", "--max-time", "1", "-o", "/dev/null", &*url];
            nginx.listens(|| backend.run(&test).status.success());
            nginx
        });
        Network { client, proxy, backends: backends.into(), _backend: backend }
    }

    /// The proxy in front of this server, which listens in both families.
    fn setup(&self, server: &str) -> Setup {
        Setup::before_all([format!("http://{server}")])
            .listeners(2)
            .one_thread()
            .environment("DUSKGATE__LISTENER__0__ADDRESS", "10.71.1.1:8080")
            .environment("DUSKGATE__LISTENER__1__ADDRESS", "[fd71:1::1]:8080")
            .within(["nsenter", &self.proxy.path()].map(str::to_owned))
    }

    /// The proxy in front of a name with an address of each family.
    fn start(&self, setup: Setup) -> (Program, tempfile::NamedTempFile) {
        let hosts = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(hosts.path(), "10.71.2.2 onezone.test\nfd71:2::2 onezone.test\n").unwrap();
        let mounted = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.path().display());
        let within = ["unshare", "--mount", "sh", "-c", &mounted, "sh"].map(str::to_owned);
        (setup.within(within).start(), hosts)
    }

    /// Whom the backend sees, and how many requests that connection has carried.
    fn seen(&self, arguments: &[&str]) -> String {
        let (status, body) = self.client.curl(arguments);
        assert_eq!(status, "200", "{body}");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        let words: Vec<&str> = json["token"].as_str().unwrap().split(' ').collect();
        words[..2].join(" ")
    }
}

#[test]
fn the_backend_sees_the_clients_own_address() {
    let network = Network::new();
    let setup = network.setup("onezone.test").upstream("source = \"client\"");
    let (program, _hosts) = network.start(setup);
    program.logged(&["connections to the backend come from the client's own address"]);
    assert_eq!(network.seen(&[PROXY]), "10.71.1.2 1");
    assert_eq!(network.seen(&[PROXY6]), "fd71:1::2 1");
    assert_eq!(network.seen(&[PROXY, "-d", "x"]), "10.71.1.2 1", "a POST has a connection of its own");

    // A connection serves its own client again, and no other.
    assert_eq!(network.seen(&[PROXY]), "10.71.1.2 2");
    assert_eq!(network.seen(&[PROXY, "--interface", "10.71.1.3"]), "10.71.1.3 1");
    assert_eq!(network.seen(&[PROXY, "--interface", "10.71.1.3"]), "10.71.1.3 2");
    assert_eq!(network.seen(&[PROXY6]), "fd71:1::2 2");
    assert_eq!(network.seen(&[PROXY]), "10.71.1.2 3");
    assert_eq!(network.backends.len(), 2);
}

#[test]
fn what_a_mode_asks_for_a_client_comes_from_its_address_too() {
    let network = Network::new();
    let setup = network.setup("onezone.test").upstream("source = \"client\"");
    let (_program, _hosts) = network.start(setup);
    let call = format!("{PROXY}{LEGACY}");
    // A creation is a task of its own.
    let seen = network.seen(&[&call, "-X", "POST", "-H", "X-Auth-Token: x", "--interface", "10.71.1.3"]);
    assert_eq!(seen, "10.71.1.3 1");
}

#[test]
fn by_itself_the_proxy_uses_its_own_address() {
    let network = Network::new();
    let (program, _hosts) = network.start(network.setup("onezone.test"));
    program.logged(&["connections to the backend come from this host's own address"]);
    assert!(network.seen(&[PROXY]).contains(":2::1 1") || network.seen(&[PROXY]).contains("10.71.2.1 "));
}

#[test]
fn a_client_of_another_family_than_the_backends_is_told_so() {
    let network = Network::new();
    let program = network.setup("10.71.2.2:80").upstream("source = \"client\"").start();
    assert_eq!(network.seen(&[PROXY]), "10.71.1.2 1");
    for arguments in [&[PROXY6][..], &[PROXY6, "-d", "x"]] {
        let (status, body) = network.client.curl(arguments);
        assert!(status == "503" && body.contains("backendUnreachable"), "{status} {body}");
    }
    program.logged(&["the client has an IPv6 address, the server has none"]);
    assert!(!program.log().contains("is asked last"), "it is not the server's fault");
    assert_eq!(network.seen(&[PROXY]), "10.71.1.2 2");
}

#[test]
fn without_the_capability_it_is_refused_by_name() {
    let setup = Setup::before(([127, 0, 0, 1], 1).into())
        .within(["setpriv", "--bounding-set=-net_admin,-net_raw"].map(str::to_owned));
    let client = setup.clone().upstream("source = \"client\"");
    let (code, log) = client.fail();
    assert_eq!(code, Some(2), "{log}");
    assert!(
        log.contains("upstream.source") && log.contains("CAP_NET_ADMIN") && log.contains("setcap"),
        "{log}"
    );

    let program = setup.start();
    program.configure(&client);
    program.signal("HUP");
    program.logged(&["the configuration was not reloaded", "CAP_NET_ADMIN"]);
}
