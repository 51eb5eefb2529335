//! [`Host`] for torch.

use std::ffi::c_void;

use ferroductor_runtime::{Block, Geometry, Host, RunError};

use crate::shim::{Shim, TorchError};
use crate::tensor::TorchTensor;

const CPU: i32 = 0;
const NO_INDEX: i32 = -1;
const STRIDED: i32 = 0;

/// How to give the Python interpreter's lock up and take it again.
#[derive(Clone, Copy)]
pub struct Interpreter {
    pub suspend: fn() -> *mut c_void,
    pub resume: fn(*mut c_void),
}

/// Tensors and threads of the torch in this process. `V` is a value that is no tensor.
pub struct TorchHost<V> {
    shim: &'static Shim,
    interpreter: Option<Interpreter>,
    share: fn(&V) -> V,
}

impl<V> TorchHost<V> {
    /// Fails if torch is not loaded or too old.
    pub fn new(interpreter: Option<Interpreter>, share: fn(&V) -> V) -> Result<Self, TorchError> {
        Ok(TorchHost {
            shim: Shim::get()?,
            interpreter,
            share,
        })
    }

    pub fn shim(&self) -> &'static Shim {
        self.shim
    }
}

impl From<TorchError> for RunError {
    fn from(error: TorchError) -> RunError {
        RunError::Runtime(error.to_string())
    }
}

/// The interpreter lock is given up while this lives.
pub struct Suspended(Option<(Interpreter, *mut c_void)>);

impl Drop for Suspended {
    fn drop(&mut self) {
        if let Some((interpreter, state)) = self.0.take() {
            (interpreter.resume)(state);
        }
    }
}

/// Gives a block back when torch drops the storage; `context` is the block's size.
unsafe extern "C" fn give_block_back(data: *mut c_void, context: *mut c_void) {
    // SAFETY: `adopt` passed the two halves of `Block::into_raw`, and torch calls this once.
    drop(unsafe { Block::from_raw(data.cast(), context as usize) });
}

struct Region<'a> {
    body: &'a (dyn Fn(usize) + Sync),
}

unsafe extern "C" fn run_workers(begin: i64, end: i64, context: *mut c_void) {
    // SAFETY: `parallel` passes a region that outlives the loop.
    let region = unsafe { &*context.cast::<Region<'_>>() };
    for worker in begin..end {
        (region.body)(worker as usize);
    }
}

impl<V: Send> Host for TorchHost<V> {
    type Tensor = TorchTensor;
    type Value = V;
    type Suspended = Suspended;

    fn geometry<'t>(&self, tensor: &'t TorchTensor) -> Result<Geometry<'t>, RunError> {
        let shim = self.shim;
        let handle = tensor.raw();
        let (mut data, mut rank, mut dtype, mut device) = (std::ptr::null_mut(), 0i64, 0, 0);
        let (mut sizes, mut strides) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the handle is alive and every out pointer is valid. Sizes and strides are
        // borrowed from the tensor, which outlives the geometry and is not resized meanwhile.
        unsafe {
            shim.check(
                "get_data_ptr",
                (shim.aoti_torch_get_data_ptr)(handle, &mut data),
            )?;
            shim.check("get_dim", (shim.aoti_torch_get_dim)(handle, &mut rank))?;
            shim.check("get_dtype", (shim.aoti_torch_get_dtype)(handle, &mut dtype))?;
            shim.check(
                "get_device_type",
                (shim.aoti_torch_get_device_type)(handle, &mut device),
            )?;
            shim.check("get_sizes", (shim.aoti_torch_get_sizes)(handle, &mut sizes))?;
            shim.check(
                "get_strides",
                (shim.aoti_torch_get_strides)(handle, &mut strides),
            )?;
            let rank = usize::try_from(rank).unwrap_or(0);
            Ok(Geometry {
                data: data.cast(),
                dtype,
                sizes: borrowed(sizes, rank),
                strides: borrowed(strides, rank),
                on_cpu: device == CPU,
            })
        }
    }

    fn allocate(
        &self,
        sizes: &[i64],
        strides: &[i64],
        dtype: i32,
    ) -> Result<TorchTensor, RunError> {
        let shim = self.shim;
        // SAFETY: sizes and strides have the length told; a new handle is stored.
        let tensor = unsafe {
            TorchTensor::make(shim, "aoti_torch_empty_strided", |out| {
                (shim.aoti_torch_empty_strided)(
                    sizes.len() as i64,
                    sizes.as_ptr(),
                    strides.as_ptr(),
                    dtype,
                    CPU,
                    NO_INDEX,
                    out,
                )
            })
        };
        Ok(tensor?)
    }

    fn can_adopt(&self) -> bool {
        self.shim.torch_from_blob.is_some()
    }

    fn adopt(
        &self,
        block: Block,
        sizes: &[i64],
        strides: &[i64],
        dtype: i32,
    ) -> Result<TorchTensor, RunError> {
        let shim = self.shim;
        let from_blob = shim
            .torch_from_blob
            .ok_or_else(|| RunError::from(TorchError::Missing("torch_from_blob")))?;
        let (data, bytes) = block.into_raw();
        // SAFETY: the block is as large as the geometry needs, and the deleter owns it from here;
        // torch calls the deleter when the storage dies. No opaque metadata are given.
        let tensor = unsafe {
            TorchTensor::make(shim, "torch_from_blob", |out| {
                from_blob(
                    data.cast(),
                    sizes.len() as i64,
                    sizes.as_ptr(),
                    strides.as_ptr(),
                    0,
                    dtype,
                    CPU,
                    NO_INDEX,
                    out,
                    STRIDED,
                    std::ptr::null(),
                    0,
                    give_block_back,
                    bytes as *mut c_void,
                )
            })
        };
        Ok(tensor?)
    }

    unsafe fn borrow(
        &self,
        data: *mut u8,
        sizes: &[i64],
        strides: &[i64],
        dtype: i32,
    ) -> Result<TorchTensor, RunError> {
        let shim = self.shim;
        // SAFETY: the caller keeps the memory alive; sizes and strides have the length told.
        let tensor = unsafe {
            TorchTensor::make(shim, "aoti_torch_create_tensor_from_blob", |out| {
                (shim.aoti_torch_create_tensor_from_blob)(
                    data.cast(),
                    sizes.len() as i64,
                    sizes.as_ptr(),
                    strides.as_ptr(),
                    0,
                    dtype,
                    CPU,
                    NO_INDEX,
                    out,
                )
            })
        };
        Ok(tensor?)
    }

    fn view(
        &self,
        of: &TorchTensor,
        sizes: &[i64],
        strides: &[i64],
        offset: i64,
    ) -> Result<TorchTensor, RunError> {
        let shim = self.shim;
        let mut base = 0;
        // SAFETY: the handle is alive and the out pointer valid.
        let code = unsafe { (shim.aoti_torch_get_storage_offset)(of.raw(), &mut base) };
        shim.check("aoti_torch_get_storage_offset", code)?;
        // SAFETY: the handle is alive; torch checks that the view lies in the storage.
        let tensor = unsafe {
            TorchTensor::make(shim, "aoti_torch__reinterpret_tensor", |out| {
                (shim.aoti_torch__reinterpret_tensor)(
                    of.raw(),
                    sizes.len() as i64,
                    sizes.as_ptr(),
                    strides.as_ptr(),
                    base.wrapping_add(offset),
                    out,
                )
            })
        };
        Ok(tensor?)
    }

    fn share(&self, tensor: &TorchTensor) -> Result<TorchTensor, RunError> {
        Ok(tensor.share()?)
    }

    fn share_value(&self, value: &V) -> V {
        (self.share)(value)
    }

    fn copy(&self, to: &TorchTensor, from: &TorchTensor) -> Result<(), RunError> {
        // SAFETY: both handles are alive.
        let code = unsafe { (self.shim.aoti_torch_copy_)(to.raw(), from.raw(), 0) };
        Ok(self.shim.check("aoti_torch_copy_", code)?)
    }

    fn threads(&self) -> usize {
        let mut threads = 1;
        // The call also makes this thread's setting known to OpenMP.
        // SAFETY: the out pointer is valid.
        let code = unsafe { (self.shim.torch_get_num_threads)(&mut threads) };
        if code == 0 {
            threads.max(1) as usize
        } else {
            1
        }
    }

    fn parallel(&self, workers: usize, body: &(dyn Fn(usize) + Sync)) {
        let mut region = Region { body };
        // SAFETY: the region lives until the loop ends, and `body` may be called from any thread.
        let code = unsafe {
            (self.shim.torch_parallel_for)(
                0,
                workers as i64,
                1,
                run_workers,
                (&raw mut region).cast(),
            )
        };
        debug_assert_eq!(code, 0, "torch_parallel_for fails only if a body throws");
    }

    fn suspend(&self) -> Suspended {
        Suspended(self.interpreter.map(|i| (i, (i.suspend)())))
    }
}

/// # Safety
/// `data` is null or points to `rank` integers that outlive `'t`.
unsafe fn borrowed<'t>(data: *const i64, rank: usize) -> &'t [i64] {
    if data.is_null() || rank == 0 {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(data, rank) }
}
