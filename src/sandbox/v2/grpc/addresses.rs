//! Device addresses (V2 2.2).

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::rpc::proto::lorawan::dev_addr_manager_server::DevAddrManager;
use crate::rpc::proto::lorawan::prefixes_response::PrefixMapping;
use crate::rpc::proto::lorawan::{DevAddrRequest, DevAddrResponse, PrefixesRequest, PrefixesResponse};
use crate::sandbox::v2::Network;

/// The blocks of the sandbox, and what for.
const PREFIXES: [(&str, &[&str]); 2] =
    [("26010000/16", &["otaa", "local", "world"]), ("26020000/16", &["abp", "local", "world", "testing"])];

/// The service.
#[derive(Debug)]
pub(super) struct Addresses(pub(super) Arc<Network>);

#[tonic::async_trait]
impl DevAddrManager for Addresses {
    async fn get_prefixes(&self, _request: Request<PrefixesRequest>) -> Result<Response<PrefixesResponse>, Status> {
        self.0.faults.pause().await;
        let mapping = |(prefix, usage): &(&str, &[&str])| PrefixMapping {
            prefix: (*prefix).to_owned(),
            usage: usage.iter().map(|usage| (*usage).to_owned()).collect(),
        };
        Ok(Response::new(PrefixesResponse { prefixes: PREFIXES.iter().map(mapping).collect() }))
    }

    async fn get_dev_addr(&self, request: Request<DevAddrRequest>) -> Result<Response<DevAddrResponse>, Status> {
        self.0.faults.pause().await;
        let usage = request.into_inner().usage;
        let fits = |(_, has): &&(&str, &[&str])| usage.iter().all(|wanted| has.contains(&wanted.as_str()));
        let Some((prefix, _)) = PREFIXES.iter().find(fits) else {
            return Err(Status::not_found(format!("DevAddr prefix for usage {} not found", usage.join(","))));
        };
        let block = u32::from_str_radix(&prefix[..8], 16).unwrap_or(0);
        let number = u32::from_be_bytes(self.0.registry().new_address()) & 0xFFFF;
        Ok(Response::new(DevAddrResponse { dev_addr: (block | number).to_be_bytes().to_vec() }))
    }
}
