//! The C functions of libtorch_cpu that we use, found once.
//!
//! Every function returns 0 or an error code and throws nothing across the boundary; the message
//! of the last error is the thread's. Signatures are those of torch's `stable/c/shim.h` and
//! `aoti_torch/c/shim.h`.

use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::sync::OnceLock;

/// An `AtenTensorHandle`.
pub type Handle = *mut c_void;
type Code = i32;

/// libtorch or one of its functions is missing, or a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TorchError {
    NotLoaded(String),
    Missing(&'static str),
    Failed {
        function: &'static str,
        message: String,
    },
}

impl fmt::Display for TorchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TorchError::NotLoaded(why) => write!(
                f,
                "libtorch_cpu is not loaded in this process (import torch first): {why}"
            ),
            TorchError::Missing(name) => write!(
                f,
                "this torch has no `{name}`: Ferroductor needs torch 2.10 or later for the CPU"
            ),
            TorchError::Failed { message, .. } if !message.is_empty() => f.write_str(message),
            TorchError::Failed { function, .. } => write!(f, "torch's `{function}` failed"),
        }
    }
}

impl std::error::Error for TorchError {}

#[cfg(target_os = "macos")]
const LIBRARY: &CStr = c"libtorch_cpu.dylib";
#[cfg(not(target_os = "macos"))]
const LIBRARY: &CStr = c"libtorch_cpu.so";

/// Declares the table: `name: fn type;` must exist, `name?: fn type;` may.
macro_rules! shim {
    (required { $($(#[$doc:meta])* $name:ident : $ty:ty;)* } optional { $($(#[$odoc:meta])* $oname:ident : $oty:ty;)* }) => {
        /// Functions of the loaded libtorch, under the names they have there.
        #[allow(non_snake_case)]
        pub struct Shim {
            $($(#[$doc])* pub $name: $ty,)*
            $($(#[$odoc])* pub $oname: Option<$oty>,)*
        }

        impl Shim {
            fn load() -> Result<Shim, TorchError> {
                let library = Library::find()?;
                Ok(Shim {
                    $($name: {
                        let symbol = library
                            .symbol(stringify!($name))
                            .ok_or(TorchError::Missing(stringify!($name)))?;
                        // SAFETY: the symbol of this name has this C signature in every torch
                        // that exports it (the headers promise a stable ABI).
                        unsafe { std::mem::transmute::<*mut c_void, $ty>(symbol) }
                    },)*
                    $($oname: library.symbol(stringify!($oname)).map(|symbol| {
                        // SAFETY: as above.
                        unsafe { std::mem::transmute::<*mut c_void, $oty>(symbol) }
                    }),)*
                })
            }
        }
    };
}

shim! {
    required {
    aoti_torch_delete_tensor_object: unsafe extern "C" fn(Handle) -> Code;
    aoti_torch_new_tensor_handle: unsafe extern "C" fn(Handle, *mut Handle) -> Code;
    aoti_torch_get_data_ptr: unsafe extern "C" fn(Handle, *mut *mut c_void) -> Code;
    aoti_torch_get_sizes: unsafe extern "C" fn(Handle, *mut *mut i64) -> Code;
    aoti_torch_get_strides: unsafe extern "C" fn(Handle, *mut *mut i64) -> Code;
    aoti_torch_get_dim: unsafe extern "C" fn(Handle, *mut i64) -> Code;
    aoti_torch_get_dtype: unsafe extern "C" fn(Handle, *mut i32) -> Code;
    aoti_torch_get_device_type: unsafe extern "C" fn(Handle, *mut i32) -> Code;
    aoti_torch_get_storage_offset: unsafe extern "C" fn(Handle, *mut i64) -> Code;
    aoti_torch_empty_strided:
        unsafe extern "C" fn(i64, *const i64, *const i64, i32, i32, i32, *mut Handle) -> Code;
    aoti_torch_create_tensor_from_blob:
        unsafe extern "C" fn(*mut c_void, i64, *const i64, *const i64, i64, i32, i32, i32, *mut Handle) -> Code;
    aoti_torch__reinterpret_tensor:
        unsafe extern "C" fn(Handle, i64, *const i64, *const i64, i64, *mut Handle) -> Code;
    aoti_torch_copy_: unsafe extern "C" fn(Handle, Handle, i32) -> Code;
    torch_parallel_for:
        unsafe extern "C" fn(i64, i64, i64, unsafe extern "C" fn(i64, i64, *mut c_void), *mut c_void) -> Code;
    torch_get_num_threads: unsafe extern "C" fn(*mut u32) -> Code;
    }
    optional {
        torch_from_blob: unsafe extern "C" fn(
            *mut c_void, i64, *const i64, *const i64, i64, i32, i32, i32, *mut Handle, i32,
            *const u8, i64, unsafe extern "C" fn(*mut c_void, *mut c_void), *mut c_void) -> Code;
        torch_tensor_from_pyobject: unsafe extern "C" fn(*mut c_void, *mut Handle) -> Code;
        torch_tensor_to_pyobject:
            unsafe extern "C" fn(Handle, *mut c_void, *mut *mut c_void) -> Code;
        torch_exception_get_what_without_backtrace: unsafe extern "C" fn() -> *const c_char;
        aoti_torch_abi_version: unsafe extern "C" fn() -> u64;
        aoti_torch_cpu_mm_out: unsafe extern "C" fn(Handle, Handle, Handle) -> Code;
        aoti_torch_cpu_bmm_out: unsafe extern "C" fn(Handle, Handle, Handle) -> Code;
        aoti_torch_cpu_addmm_out:
            unsafe extern "C" fn(Handle, Handle, Handle, Handle, f64, f64) -> Code;
        aoti_torch_cpu_baddbmm_out:
            unsafe extern "C" fn(Handle, Handle, Handle, Handle, f64, f64) -> Code;
        aoti_torch_cpu_convolution: unsafe extern "C" fn(
            Handle, Handle, *const Handle, *const i64, i64, *const i64, i64, *const i64, i64, i32,
            *const i64, i64, i64, *mut Handle) -> Code;
        aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu: unsafe extern "C" fn(
            Handle, Handle, Handle, f64, i32, *const Handle, *const f64, *mut Handle,
            *mut Handle) -> Code;
    }
}

/// A library that is loaded already.
struct Library(*mut c_void);

impl Library {
    fn find() -> Result<Library, TorchError> {
        // SAFETY: with RTLD_NOLOAD nothing is loaded or run; the handle only adds a reference to a
        // library that stays loaded for the life of the process.
        let handle = unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_NOW) };
        if handle.is_null() {
            // SAFETY: dlerror returns null or a string that is valid until the thread's next call.
            let text = unsafe { libc::dlerror() };
            let why = if text.is_null() {
                "not found".to_owned()
            } else {
                // SAFETY: not null, so a C string.
                unsafe { CStr::from_ptr(text) }
                    .to_string_lossy()
                    .into_owned()
            };
            return Err(TorchError::NotLoaded(why));
        }
        Ok(Library(handle))
    }

    fn symbol(&self, name: &str) -> Option<*mut c_void> {
        let name = std::ffi::CString::new(name).ok()?;
        // SAFETY: the handle is open and the name is a C string.
        let symbol = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        (!symbol.is_null()).then_some(symbol)
    }
}

impl Shim {
    /// The functions of the loaded torch; found once.
    pub fn get() -> Result<&'static Shim, TorchError> {
        static SHIM: OnceLock<Shim> = OnceLock::new();
        if let Some(shim) = SHIM.get() {
            return Ok(shim);
        }
        let shim = Shim::load()?;
        Ok(SHIM.get_or_init(|| shim))
    }

    /// Turns a function's code into a result, with torch's message.
    pub fn check(&self, function: &'static str, code: i32) -> Result<(), TorchError> {
        if code == 0 {
            return Ok(());
        }
        let message =
            self.torch_exception_get_what_without_backtrace
                .map_or(String::new(), |what| {
                    // SAFETY: returns null or a C string of this thread, valid until its next error.
                    let text = unsafe { what() };
                    if text.is_null() {
                        String::new()
                    } else {
                        // SAFETY: not null, so a C string.
                        unsafe { CStr::from_ptr(text) }
                            .to_string_lossy()
                            .into_owned()
                    }
                });
        Err(TorchError::Failed { function, message })
    }

    /// `(major, minor)` of the loaded torch.
    pub fn version(&self) -> Option<(u8, u8)> {
        // SAFETY: takes no argument and only reads a constant.
        let bits = unsafe { (self.aoti_torch_abi_version?)() };
        Some(((bits >> 56) as u8, (bits >> 48) as u8))
    }
}
