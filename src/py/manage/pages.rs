//! Iterating over an application's devices, page by page.

use crate::sync::Mutex;

use pyo3::prelude::*;

use super::application::PyApplicationClient;

/// The devices of an application, fetched page by page, from ``iter_devices``.
#[pyclass(frozen, name = "DeviceIterator", module = "thingslink.ttn")]
pub(in crate::py) struct PyDevicePages {
    pub(super) client: Py<PyApplicationClient>,
    pub(super) page_size: u64,
    pub(super) timeout: Option<Py<PyAny>>,
    pub(super) state: Mutex<PageState>,
}

/// How far it is.
#[derive(Default)]
pub(super) struct PageState {
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
            let page = self.client.get().page(py, Some(self.page_size), Some(offset), timeout.as_ref())?;
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
