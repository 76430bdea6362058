//! The same calls over HTTP, in JSON (V3 3.1): each request becomes a call of gRPC, by the table of routes alone.

mod answer;
mod body;
mod call;
mod route;

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tonic::body::Body;
use tonic::service::Routes;

use super::grpc::GrpcService;
use super::stack::Stack;
use crate::sandbox::listener::{Arrival, LOGIN_BYTES, LOGIN_TIME, Service, Socket, turns};
use crate::sandbox::room::Room;

/// HTTP/JSON, for a listener.
pub(super) struct HttpService {
    routes: Routes,
    stack: Arc<Stack>,
}

impl HttpService {
    pub(super) fn new(grpc: &GrpcService, stack: Arc<Stack>) -> Arc<Self> {
        Arc::new(Self { routes: grpc.routes(), stack })
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let request_id = self.stack.new_id("").split_off(1);
        let is_key = call::key(request.headers()).is_some();
        let outcome = call::answer(&self.routes, request).await;
        Ok(answer::response(outcome, &request_id, is_key))
    }
}

impl Service for HttpService {
    fn refuses_connections(&self) -> bool {
        self.stack.faults.refuses_connections()
    }

    fn room(&self) -> &Arc<Room> {
        &self.stack.room
    }

    async fn serve<S>(self: Arc<Self>, stream: S, arrival: Arrival)
    where
        S: Socket,
    {
        let Arrival { mut stop, .. } = arrival;
        let mut aged = self.stack.age();
        let service = service_fn(|request| self.answer(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            // Of each request, and so of a connection that waits for the next one.
            .header_read_timeout(LOGIN_TIME)
            .max_buf_size(LOGIN_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        loop {
            tokio::select! {
                () = turns(&mut stop, true) => return,
                // What is under way is answered; streams end by themselves.
                Ok(()) = aged.changed() => connection.as_mut().graceful_shutdown(),
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "HTTP connection ended");
                    }
                    return;
                }
            }
        }
    }
}
