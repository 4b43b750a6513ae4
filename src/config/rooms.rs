//! The settings of `listen` and `upstream`, until those rooms bring their own.

/// Of `listen`.
pub mod listen {
    use std::net::SocketAddr;
    use std::time::Duration;

    use crate::http1::HeadLimits;

    /// One listener.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Settings {
        /// Where to listen; port 0 takes a free one.
        pub address: SocketAddr,
    }

    /// What a client may take, in time and in bytes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Limits {
        /// From a request's first byte to the end of its head.
        pub request_head: Duration,
        /// Without a byte moved.
        pub client_stall: Duration,
        /// Between two requests on one connection.
        pub client_idle: Duration,
        /// How large a head may be.
        pub head: HeadLimits,
    }
}

/// Of `upstream`.
pub mod upstream {
    use std::path::PathBuf;
    use std::time::Duration;

    use secrecy::SecretString;

    /// One server of the backend.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Origin {
        /// Whether it speaks TLS.
        pub https: bool,
        /// A name, an IPv4 address, or an IPv6 address in brackets.
        pub host: String,
        /// Never 0.
        pub port: u16,
        /// `https://host:port`, as written but in lower case.
        pub text: String,
    }

    /// The backend.
    #[derive(Clone, Debug)]
    pub struct Settings {
        /// At least one, none twice.
        pub servers: Vec<Origin>,
        /// Certificates to trust instead of the system's, in PEM form.
        pub ca_file: Option<PathBuf>,
        /// The name that certificates must be for, instead of the server's host.
        pub server_name: Option<String>,
        /// Trust any certificate.
        pub insecure_skip_verify: bool,
        /// For a connection and its TLS handshake.
        pub connect_timeout: Duration,
        /// To the end of a response's head.
        pub response_timeout: Duration,
        /// Without a byte moved.
        pub stall: Duration,
        /// The access token for names of targets that a caller may not see.
        pub service_token: Option<SecretString>,
        /// The path that says whether a server is well.
        pub health_path: Option<String>,
        /// After how many requests a connection retires.
        pub max_requests: usize,
        /// How long a connection may idle.
        pub idle_timeout: Duration,
        /// How long a target's name is remembered.
        pub name_cache: Duration,
        /// The pseudonym in `Via`.
        pub via: String,
    }
}
