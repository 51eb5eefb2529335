//! An owning handle to a torch tensor.

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::shim::{Handle, Shim, TorchError};

/// One reference to a `TensorImpl`. The reference count is atomic, so it may move and be shared
/// between threads like an `Arc`.
pub struct TorchTensor {
    handle: NonNull<c_void>,
    shim: &'static Shim,
}

// SAFETY: the handle is a heap-allocated `at::Tensor`, whose reference count is atomic; dropping
// the last reference takes the interpreter lock by itself where a Python object is attached.
unsafe impl Send for TorchTensor {}
// SAFETY: shared use only reads geometry, which nothing here changes.
unsafe impl Sync for TorchTensor {}

impl TorchTensor {
    /// Calls a function that returns a new handle through its last argument.
    ///
    /// # Safety
    /// On success `make` stores an owning handle.
    pub unsafe fn make(
        shim: &'static Shim,
        function: &'static str,
        make: impl FnOnce(*mut Handle) -> i32,
    ) -> Result<TorchTensor, TorchError> {
        let mut handle: Handle = std::ptr::null_mut();
        shim.check(function, make(&mut handle))?;
        NonNull::new(handle)
            .map(|handle| TorchTensor { handle, shim })
            .ok_or(TorchError::Failed {
                function,
                message: "no tensor was returned".into(),
            })
    }

    /// Takes over an owning handle.
    ///
    /// # Safety
    /// The handle is null or an owning `AtenTensorHandle` that nobody else deletes.
    pub unsafe fn from_handle(handle: *mut c_void) -> Result<TorchTensor, TorchError> {
        // SAFETY: by the caller's promise.
        unsafe {
            TorchTensor::make(Shim::get()?, "handle", |out| {
                *out = handle;
                0
            })
        }
    }

    /// Gives the owning handle away.
    pub fn into_handle(self) -> *mut c_void {
        let handle = self.handle.as_ptr();
        std::mem::forget(self);
        handle
    }

    /// The tensor of a Python object; `None` where this torch cannot convert (before 2.14).
    ///
    /// # Safety
    /// `object` is a live Python object and the interpreter lock is held.
    pub unsafe fn from_python(
        shim: &'static Shim,
        object: *mut c_void,
    ) -> Option<Result<TorchTensor, TorchError>> {
        let convert = shim.torch_tensor_from_pyobject?;
        // SAFETY: as promised by the caller; the function checks the type and returns a new handle.
        Some(unsafe {
            TorchTensor::make(shim, "torch_tensor_from_pyobject", |out| {
                convert(object, out)
            })
        })
    }

    /// A new reference to the tensor's Python object; `None` where this torch cannot convert.
    ///
    /// # Safety
    /// The interpreter lock is held.
    pub unsafe fn to_python(&self) -> Option<Result<*mut c_void, TorchError>> {
        let convert = self.shim.torch_tensor_to_pyobject?;
        let mut object = std::ptr::null_mut();
        // SAFETY: the handle is alive; a null type asks for a plain tensor.
        let code = unsafe { convert(self.raw(), std::ptr::null_mut(), &mut object) };
        Some(
            self.shim
                .check("torch_tensor_to_pyobject", code)
                .map(|()| object),
        )
    }

    /// The handle, still owned by this value.
    pub fn raw(&self) -> Handle {
        self.handle.as_ptr()
    }

    pub fn shim(&self) -> &'static Shim {
        self.shim
    }

    /// Another reference to the same tensor.
    pub fn share(&self) -> Result<TorchTensor, TorchError> {
        // SAFETY: the handle is alive; the function stores a new owning handle.
        unsafe {
            TorchTensor::make(self.shim, "aoti_torch_new_tensor_handle", |out| {
                (self.shim.aoti_torch_new_tensor_handle)(self.raw(), out)
            })
        }
    }
}

impl Drop for TorchTensor {
    fn drop(&mut self) {
        // SAFETY: the handle is owned and not used again. The code only tells of a throwing
        // destructor, about which nothing can be done here.
        let _ = unsafe { (self.shim.aoti_torch_delete_tensor_object)(self.raw()) };
    }
}
