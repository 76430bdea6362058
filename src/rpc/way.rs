//! The way of calls to a server: gRPC over HTTP/2; to servers that speak gRPC-web as well, that over HTTP/1.1, where a proxy
//! lets nothing else through.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use hyper::{Request, Response, StatusCode};
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service;

use super::web::{Failed, Web, Whole, collect, is_grpc, is_web};
use super::witness::Witness;

/// Nobody has answered yet.
const OPEN: u8 = 0;
/// The server has answered over HTTP/2.
const DIRECT: u8 = 1;
/// It has answered by gRPC-web, and did not over HTTP/2.
const ASIDE: u8 = 2;

type Answer = Result<Response<Body>, Failed>;

/// A way to a server.
#[derive(Clone, Debug)]
pub(super) struct Way {
    direct: Channel,
    aside: Option<Arc<Aside>>,
}

/// Where else to go.
#[derive(Debug)]
pub(super) struct Aside {
    web: Web,
    /// Who answers over HTTP/2.
    witness: Witness,
    taken: AtomicU8,
}

impl Aside {
    pub(super) fn new(web: Web, witness: Witness) -> Arc<Self> {
        Arc::new(Self { web, witness, taken: AtomicU8::new(OPEN) })
    }

    fn is_taken(&self, way: u8) -> bool {
        self.taken.load(Ordering::Acquire) == way
    }

    /// The first call, which finds the way. Its request is sent twice only where the first time it did not get to a server
    /// of gRPC.
    async fn find(&self, direct: impl Future<Output = Answer>, again: impl Future<Output = Answer>) -> Answer {
        let outcome = direct.await;
        match &outcome {
            Ok(answer) if is_grpc(answer.headers()) => {
                self.taken.store(DIRECT, Ordering::Release);
                return outcome;
            }
            Ok(answer) if !was_turned_away(answer.status()) => return outcome.map(without_body),
            Err(_) if !self.witness.lacks_http2() => return outcome,
            _ => {}
        }
        match again.await {
            Ok(answer) if is_web(answer.headers()) => {
                tracing::info!("{} is called by gRPC-web: HTTP/2 does not get through", self.witness.address());
                self.taken.store(ASIDE, Ordering::Release);
                self.witness.rest();
                Ok(answer)
            }
            aside => {
                if let Err(error) = aside {
                    tracing::debug!(%error, "no answer by gRPC-web either");
                }
                outcome.map(without_body)
            }
        }
    }
}

/// Whether a request with this answer has come to no server of gRPC. A server behind a proxy that is away, or takes too long,
/// may have got it.
fn was_turned_away(status: StatusCode) -> bool {
    !status.is_server_error() || status == StatusCode::HTTP_VERSION_NOT_SUPPORTED
}

/// An answer that is none of gRPC is told by its status: a page is no message.
fn without_body(answer: Response<Body>) -> Response<Body> {
    answer.map(|_| Body::empty())
}

impl Way {
    pub(super) fn new(direct: Channel, aside: Option<Arc<Aside>>) -> Self {
        Self { direct, aside }
    }
}

impl Service<Request<Body>> for Way {
    type Response = Response<Body>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.direct.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The one that is ready.
        let next = self.direct.clone();
        let mut direct = mem::replace(&mut self.direct, next);
        let Some(aside) = self.aside.clone().filter(|aside| !aside.is_taken(DIRECT)) else {
            let answer = direct.call(request);
            return Box::pin(async move { Ok(answer.await?) });
        };
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = collect(body).await?;
            if aside.is_taken(ASIDE) {
                return aside.web.call(head, body).await;
            }
            let first = direct.call(Request::from_parts(head.clone(), Body::new(Whole(Some(body.clone())))));
            aside.find(async { Ok(first.await?) }, aside.web.call(head, body)).await
        })
    }
}
