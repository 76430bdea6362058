//! Opens connections to gRPC servers.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::codegen::http::Uri;

use super::witness::{Watched, Witness};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::net;

/// Bound on opening one connection: name, TCP and TLS.
const CONNECT: Duration = Duration::from_secs(20);

/// What opens connections to the first of these addresses that answers, for HTTP/2 or for HTTP/1.1.
pub(super) fn door(
    endpoints: Vec<Endpoint>,
    tls: Option<net::Tls>,
    witness: Witness,
    is_for_http2: bool,
) -> impl tower::Service<Uri, Response = TokioIo<Watched>, Error = Error, Future: Send + 'static> + Clone + Send + Sync
{
    tower::service_fn(move |_: Uri| {
        let (endpoints, tls, witness) = (endpoints.clone(), tls.clone(), witness.clone());
        async move {
            let stream = connect(&endpoints, tls.as_ref(), &witness).await?;
            if is_for_http2 && stream.is_of_http1() {
                let reason = "the server wants HTTP/1.1, and gRPC needs HTTP/2".to_owned();
                return Err(Error::Tls { address: witness.address(), reason });
            }
            Ok(TokioIo::new(stream))
        }
    })
}

/// The first address that answers; otherwise the last one's error.
async fn connect(endpoints: &[Endpoint], tls: Option<&net::Tls>, witness: &Witness) -> Result<Watched> {
    let mut last = None;
    for endpoint in endpoints {
        let attempt = tokio::time::timeout(CONNECT, net::open(endpoint, tls));
        let timed_out = || Error::Timeout { what: format!("connecting to {endpoint}"), after: CONNECT };
        match attempt.await.unwrap_or_else(|_| Err(timed_out())) {
            Ok(stream) => return Ok(witness.watch(endpoint, stream)),
            Err(error) => {
                tracing::debug!(%endpoint, %error, "this address does not answer");
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or(Error::NotConnected))
}
