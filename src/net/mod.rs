//! Connections, with and without TLS, and whom to trust on them.

mod identity;
mod possession;
mod proxy;
mod stream;
mod tls;
mod tongue;

pub use self::identity::Identity;
pub(crate) use self::possession::verifies_possession;
pub use self::proxy::{Proxy, ProxyKind};
pub use self::stream::{Stream, open, open_through};
pub use self::tls::{Tls, client_config, client_config_for, reason as handshake_reason};
pub use self::tongue::Tongue;
