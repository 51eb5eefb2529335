//! ATen operators called through the C shim, without Python.
//!
//! [`TorchCalls`] takes the calls whose operator and arguments fit a C function and leaves the rest
//! to whoever can call anything. The functions are the operators themselves, below autograd, so
//! results are the same bits.

use ferroductor_abi::{AtenArg, AtenCall, BufferId, Dim, Place, Program};
use ferroductor_runtime::{AtenCalls, Frame, Host, RunError};

use crate::host::TorchHost;
use crate::shim::{Handle, Shim, TorchError};
use crate::tensor::TorchTensor;

/// The calls of one program.
pub struct TorchCalls<V: Send> {
    native: Vec<Option<Native>>,
    other: Box<dyn AtenCalls<TorchHost<V>>>,
}

impl<V: Send> TorchCalls<V> {
    /// `other` makes the calls that have no C function.
    pub fn new(shim: &Shim, program: &Program, other: Box<dyn AtenCalls<TorchHost<V>>>) -> Self {
        let native = program
            .aten
            .iter()
            .map(|call| native(shim, program, call))
            .collect();
        TorchCalls { native, other }
    }

    /// Does this call go through the C shim?
    pub fn is_direct(&self, call: u32) -> bool {
        self.native.get(call as usize).is_some_and(Option::is_some)
    }
}

impl<V: Send> AtenCalls<TorchHost<V>> for TorchCalls<V> {
    fn needs_interpreter(&self, call: u32) -> bool {
        !self.is_direct(call) && self.other.needs_interpreter(call)
    }

    fn call(&self, call: u32, frame: &mut Frame<'_, TorchHost<V>>) -> Result<(), RunError> {
        match self.native.get(call as usize) {
            Some(Some(native)) => native.run(frame),
            _ => self.other.call(call, frame),
        }
    }
}

/// A call whose arguments are resolved as far as possible.
enum Native {
    Product(Product),
    Copy { to: BufferId, from: BufferId },
    Convolution(Convolution),
    Attention(Attention),
}

type OutFn2 = unsafe extern "C" fn(Handle, Handle, Handle) -> i32;
type OutFn3 = unsafe extern "C" fn(Handle, Handle, Handle, Handle, f64, f64) -> i32;

/// A matrix product into memory of our choice.
struct Product {
    function: ProductFn,
    operands: Vec<BufferId>,
    beta: f64,
    alpha: f64,
    result: BufferId,
}

#[derive(Clone, Copy)]
enum ProductFn {
    Plain(OutFn2, &'static str),
    Added(OutFn3, &'static str),
}

struct Convolution {
    input: BufferId,
    weight: BufferId,
    bias: Option<BufferId>,
    stride: Vec<Dim>,
    padding: Vec<Dim>,
    dilation: Vec<Dim>,
    transposed: bool,
    output_padding: Vec<Dim>,
    groups: Dim,
    result: BufferId,
}

struct Attention {
    operands: [BufferId; 3],
    dropout: f64,
    causal: bool,
    mask: Option<BufferId>,
    scale: Option<f64>,
    results: [Option<BufferId>; 2],
}

/// The C form of a call, if it has one.
fn native(shim: &Shim, program: &Program, call: &AtenCall) -> Option<Native> {
    if !call.binds.is_empty() {
        return None;
    }
    let call = Reader { program, call };
    match call.call.target.as_str() {
        "aten.mm.default" => call.product(ProductFn::Plain(shim.aoti_torch_cpu_mm_out?, "mm"), 2),
        "aten.bmm.default" => {
            call.product(ProductFn::Plain(shim.aoti_torch_cpu_bmm_out?, "bmm"), 2)
        }
        "aten.addmm.default" => {
            call.product(ProductFn::Added(shim.aoti_torch_cpu_addmm_out?, "addmm"), 3)
        }
        "aten.baddbmm.default" => call.product(
            ProductFn::Added(shim.aoti_torch_cpu_baddbmm_out?, "baddbmm"),
            3,
        ),
        "aten.copy_.default" => call.copy(),
        "aten.convolution.default" if shim.aoti_torch_cpu_convolution.is_some() => {
            call.convolution()
        }
        "aten._scaled_dot_product_flash_attention_for_cpu.default"
            if shim
                .aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu
                .is_some() =>
        {
            call.attention()
        }
        _ => None,
    }
}

/// Reads the arguments of a call; `None` wherever they are not of the expected kind.
struct Reader<'p> {
    program: &'p Program,
    call: &'p AtenCall,
}

impl Reader<'_> {
    /// A tensor in CPU memory with a known geometry.
    fn plain(&self, at: usize) -> Option<BufferId> {
        match self.call.args.get(at)? {
            AtenArg::Tensor(buffer) => self.plain_buffer(*buffer),
            _ => None,
        }
    }

    fn plain_buffer(&self, buffer: BufferId) -> Option<BufferId> {
        (self.program.buffers.get(buffer.0 as usize)?.item > 0).then_some(buffer)
    }

    fn optional(arg: Option<&AtenArg>) -> Option<Option<BufferId>> {
        match arg {
            None | Some(AtenArg::None) => Some(None),
            Some(AtenArg::Tensor(buffer)) => Some(Some(*buffer)),
            _ => None,
        }
    }

    fn result(&self, at: usize) -> Option<BufferId> {
        (*self.call.results.get(at)?).and_then(|b| self.plain_buffer(b))
    }

    fn number(arg: Option<&AtenArg>, default: f64) -> Option<f64> {
        match arg {
            None => Some(default),
            Some(AtenArg::Float(value)) => Some(*value),
            Some(AtenArg::Int(Dim::Const(value))) => Some(*value as f64),
            _ => None,
        }
    }

    fn kwarg(&self, name: &str) -> Option<&AtenArg> {
        self.call.kwargs.iter().find(|k| k.0 == name).map(|k| &k.1)
    }

    fn integers(&self, at: usize) -> Option<Vec<Dim>> {
        match self.call.args.get(at)? {
            AtenArg::List(items) => items
                .iter()
                .map(|i| {
                    if let AtenArg::Int(dim) = i {
                        Some(*dim)
                    } else {
                        None
                    }
                })
                .collect(),
            _ => None,
        }
    }

    fn flag(arg: Option<&AtenArg>, default: bool) -> Option<bool> {
        match arg {
            None => Some(default),
            Some(AtenArg::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    fn product(&self, function: ProductFn, operands: usize) -> Option<Native> {
        if self.call.args.len() != operands {
            return None;
        }
        Some(Native::Product(Product {
            function,
            operands: (0..operands)
                .map(|at| self.plain(at))
                .collect::<Option<_>>()?,
            beta: Self::number(self.kwarg("beta"), 1.0)?,
            alpha: Self::number(self.kwarg("alpha"), 1.0)?,
            result: self.result(0)?,
        }))
    }

    /// The write of an input's new value. Through an alias, for AOTAutograd counts the version of
    /// the input itself.
    fn copy(&self) -> Option<Native> {
        let to = self.plain(0)?;
        let is_input = matches!(self.program.buffers[to.0 as usize].place, Place::Input(_));
        if !is_input || self.call.args.len() != 2 || !self.call.kwargs.is_empty() {
            return None;
        }
        let result_is_unused = match self.call.results.as_slice() {
            [] | [None] => true,
            [Some(result)] => !self.uses(*result),
            _ => false,
        };
        result_is_unused.then_some(Native::Copy {
            to,
            from: self.plain(1)?,
        })
    }

    fn uses(&self, buffer: BufferId) -> bool {
        let program = self.program;
        let in_call = |c: &AtenCall| {
            c.args
                .iter()
                .chain(c.kwargs.iter().map(|k| &k.1))
                .any(|a| mentions(a, buffer))
        };
        program.aten.iter().any(in_call)
            || program
                .outputs
                .contains(&ferroductor_abi::Output::Tensor(buffer))
            || program
                .buffers
                .iter()
                .any(|b| matches!(b.place, Place::View { of, .. } if of == buffer))
            || program.steps.iter().any(
                |s| matches!(s, ferroductor_abi::Step::Kernel(l) if l.buffers.contains(&buffer)),
            )
    }

    fn convolution(&self) -> Option<Native> {
        if self.call.args.len() != 9 || !self.call.kwargs.is_empty() {
            return None;
        }
        let args = &self.call.args;
        Some(Native::Convolution(Convolution {
            input: self.plain(0)?,
            weight: self.plain(1)?,
            bias: Self::optional(args.get(2))?,
            stride: self.integers(3)?,
            padding: self.integers(4)?,
            dilation: self.integers(5)?,
            transposed: Self::flag(args.get(6), false)?,
            output_padding: self.integers(7)?,
            groups: if let AtenArg::Int(dim) = args.get(8)? {
                *dim
            } else {
                return None;
            },
            result: self.result(0)?,
        }))
    }

    fn attention(&self) -> Option<Native> {
        let args = &self.call.args;
        let scale = match self.kwarg("scale") {
            None | Some(AtenArg::None) => None,
            given => Some(Self::number(given, 1.0)?),
        };
        let known = |k: &(String, AtenArg)| matches!(k.0.as_str(), "scale" | "attn_mask");
        if args.len() > 5 || !self.call.kwargs.iter().all(known) {
            return None;
        }
        Some(Native::Attention(Attention {
            operands: [self.plain(0)?, self.plain(1)?, self.plain(2)?],
            dropout: Self::number(args.get(3), 0.0)?,
            causal: Self::flag(args.get(4), false)?,
            mask: Self::optional(self.kwarg("attn_mask"))?,
            scale,
            results: [*self.call.results.first()?, *self.call.results.get(1)?],
        }))
    }
}

fn mentions(arg: &AtenArg, buffer: BufferId) -> bool {
    match arg {
        AtenArg::Tensor(b) => *b == buffer,
        AtenArg::List(items) => items.iter().any(|i| mentions(i, buffer)),
        _ => false,
    }
}

impl Native {
    fn run<V: Send>(&self, frame: &mut Frame<'_, TorchHost<V>>) -> Result<(), RunError> {
        match self {
            Native::Product(product) => product.run(frame),
            Native::Copy { to, from } => copy(*to, *from, frame),
            Native::Convolution(convolution) => convolution.run(frame),
            Native::Attention(attention) => attention.run(frame),
        }
    }
}

/// The handle of a buffer's tensor; it lives as long as the buffer keeps its tensor.
fn handle<V: Send>(
    frame: &mut Frame<'_, TorchHost<V>>,
    buffer: BufferId,
) -> Result<Handle, RunError> {
    Ok(frame.tensor(buffer)?.raw())
}

fn dims<V: Send>(frame: &Frame<'_, TorchHost<V>>, dims: &[Dim]) -> Vec<i64> {
    dims.iter().map(|d| frame.dim(*d)).collect()
}

impl Product {
    fn run<V: Send>(&self, frame: &mut Frame<'_, TorchHost<V>>) -> Result<(), RunError> {
        let mut operands = [std::ptr::null_mut(); 3];
        for (to, buffer) in operands.iter_mut().zip(&self.operands) {
            *to = handle(frame, *buffer)?;
        }
        let fresh = match frame.destination(self.result)? {
            Some(_) => None,
            None => Some(frame.allocate_result(self.result)?),
        };
        let out = match &fresh {
            Some(tensor) => tensor.raw(),
            None => handle(frame, self.result)?,
        };
        let [a, b, c] = operands;
        // SAFETY: every handle is alive: operands are in the frame, `out` there or in `fresh`.
        let (code, name) = unsafe {
            match self.function {
                ProductFn::Plain(function, name) => (function(out, a, b), name),
                ProductFn::Added(function, name) => {
                    (function(out, a, b, c, self.beta, self.alpha), name)
                }
            }
        };
        frame.host().shim().check(name, code)?;
        match fresh {
            Some(tensor) => frame.set_tensor(self.result, tensor),
            None => Ok(()),
        }
    }
}

fn copy<V: Send>(
    to: BufferId,
    from: BufferId,
    frame: &mut Frame<'_, TorchHost<V>>,
) -> Result<(), RunError> {
    let from = frame.tensor(from)?.share()?;
    let to = frame.tensor(to)?.share()?;
    let host = frame.host();
    let geometry = host.geometry(&to)?;
    let alias = host.view(&to, geometry.sizes, geometry.strides, 0)?;
    host.copy(&alias, &from)
}

impl Convolution {
    fn run<V: Send>(&self, frame: &mut Frame<'_, TorchHost<V>>) -> Result<(), RunError> {
        let shim = frame.host().shim();
        let function = shim
            .aoti_torch_cpu_convolution
            .ok_or(TorchError::Missing("aoti_torch_cpu_convolution"))?;
        let (input, weight) = (handle(frame, self.input)?, handle(frame, self.weight)?);
        let bias = self.bias.map(|b| handle(frame, b)).transpose()?;
        let (stride, padding) = (dims(frame, &self.stride), dims(frame, &self.padding));
        let (dilation, extra) = (
            dims(frame, &self.dilation),
            dims(frame, &self.output_padding),
        );
        let groups = frame.dim(self.groups);
        // SAFETY: handles are alive in the frame, lists have the lengths told, an absent bias is
        // null; a new handle is stored.
        let result = unsafe {
            TorchTensor::make(shim, "aoti_torch_cpu_convolution", |out| {
                function(
                    input,
                    weight,
                    bias.as_ref().map_or(std::ptr::null(), |b| b),
                    stride.as_ptr(),
                    stride.len() as i64,
                    padding.as_ptr(),
                    padding.len() as i64,
                    dilation.as_ptr(),
                    dilation.len() as i64,
                    i32::from(self.transposed),
                    extra.as_ptr(),
                    extra.len() as i64,
                    groups,
                    out,
                )
            })
        };
        frame.set_tensor(self.result, result?)
    }
}

impl Attention {
    fn run<V: Send>(&self, frame: &mut Frame<'_, TorchHost<V>>) -> Result<(), RunError> {
        let shim = frame.host().shim();
        let function = shim
            .aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu
            .ok_or(TorchError::Missing(
                "_scaled_dot_product_flash_attention_for_cpu",
            ))?;
        let [q, k, v] = self.operands;
        let (q, k, v) = (handle(frame, q)?, handle(frame, k)?, handle(frame, v)?);
        let mask = self.mask.map(|m| handle(frame, m)).transpose()?;
        let mut second: Handle = std::ptr::null_mut();
        // SAFETY: handles are alive in the frame, absent options are null; two new handles are
        // stored, the second of which is taken over below.
        let first = unsafe {
            TorchTensor::make(shim, "_scaled_dot_product_flash_attention_for_cpu", |out| {
                function(
                    q,
                    k,
                    v,
                    self.dropout,
                    i32::from(self.causal),
                    mask.as_ref().map_or(std::ptr::null(), |m| m),
                    self.scale.as_ref().map_or(std::ptr::null(), |s| s),
                    out,
                    &mut second,
                )
            })?
        };
        // SAFETY: the function succeeded, so the handle is owning and ours.
        let second = unsafe { TorchTensor::from_handle(second)? };
        for (buffer, tensor) in self.results.into_iter().zip([first, second]) {
            if let Some(buffer) = buffer {
                frame.set_tensor(buffer, tensor)?;
            }
        }
        Ok(())
    }
}
