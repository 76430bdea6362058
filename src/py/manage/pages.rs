//! Iterating over an application's devices, page by page.

use std::sync::Arc;

use pyo3::prelude::*;

use super::calls::Calls;
use crate::sync::Mutex;

/// The devices of an application, fetched page by page, from ``iter_devices``.
#[pyclass(frozen, name = "DeviceIterator", module = "thingslink.ttn")]
pub(in crate::py) struct PyDevicePages {
    calls: Arc<Calls>,
    page_size: u64,
    timeout: Option<Py<PyAny>>,
    state: Mutex<PageState>,
}

impl PyDevicePages {
    pub(super) fn new(calls: Arc<Calls>, page_size: u64, timeout: Option<Py<PyAny>>) -> Self {
        Self { calls, page_size, timeout, state: Mutex::default() }
    }
}

/// How far it is.
#[derive(Default)]
struct PageState {
    page: Option<Py<PyAny>>,
    next: usize,
    offset: u64,
    last: bool,
}

#[pymethods]
impl PyDevicePages {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        loop {
            let (page, index, offset, last) = {
                let mut state = self.state.lock();
                let index = state.next;
                state.next += 1;
                (state.page.as_ref().map(|page| page.clone_ref(py)), index, state.offset, state.last)
            };
            if let Some(page) = page {
                let page = page.into_bound(py);
                if index < page.len()? {
                    return page.get_item(index).map(Some);
                }
                if last {
                    return Ok(None);
                }
            }
            let timeout = self.timeout.as_ref().map(|timeout| timeout.clone_ref(py).into_bound(py));
            let timeout = Calls::timeout(py, timeout.as_ref())?;
            let page = self.calls.page(py, Some(self.page_size), Some(offset), timeout)?.wait(py)?.into_bound(py);
            let got = page.len()? as u64;
            let mut state = self.state.lock();
            state.last = got < self.page_size;
            state.offset = offset + got;
            state.next = 0;
            let old = state.page.replace(page.unbind());
            drop(state);
            drop(old);
        }
    }
}
