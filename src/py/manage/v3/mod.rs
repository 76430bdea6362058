//! `ApplicationClient` on The Things Stack V3.

mod application;
mod calls;
mod cluster;
mod device;
mod dictionary;
mod downlink;
mod servers;

pub(in crate::py) use self::application::PyStackApplication;
pub(super) use self::calls::Calls;
pub(super) use self::cluster::{Cluster, announcement, cluster_at};
pub(in crate::py) use self::device::PyStackDevice;
pub(super) use self::servers::Place as At;
