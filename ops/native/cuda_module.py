"""The CUDA kernels: built on first use, loaded, and launched by the driver on torch's current stream."""

import ctypes
import functools
import logging
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from morphoscope.ops.native.cache import Built, built
from morphoscope.ops.native.cuda_compilers import FLAGS, CudaCompiler, architecture_for, find_compilers
from morphoscope.ops.native.sources import sources_digest
from morphoscope.ops.native.toolchain import Unavailable

log = logging.getLogger(__name__)

_DRIVER = "libcuda.so.1"


class CudaModule:
    """The loaded kernels of one device.

    Attributes:
        path: the built file.
        compiler: "nvcc 13.0" or "NVRTC 13.0".
        architecture: what it was built for ("sm_90").
        seconds: duration of the build.
    """

    def __init__(
        self,
        driver: ctypes.CDLL,
        device_index: int,
        file: Built,
        compiler: str,
        architecture: str,
    ) -> None:
        self.path, self.seconds = file.path, file.seconds
        self.compiler, self.architecture = compiler, architecture
        self._driver, self._device_index = driver, device_index
        device, self._context, self._module = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self._check("cuInit", 0)
        self._check("cuDeviceGet", ctypes.byref(device), device_index)
        self._check("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)  # torch's context
        with self._stream():
            image = Path(file.opened).read_bytes()
            self._check("cuModuleLoadDataEx", ctypes.byref(self._module), image, 0, None, None)
        self._functions: dict[str, ctypes.c_void_p] = {}

    @property
    def description(self) -> str:
        """For messages: "sm_90, nvcc 13.0, built in 9.5 s"."""
        return f"{self.architecture}, {self.compiler}, built in {self.seconds:.1f} s"

    def launch(self, kernel: str, blocks: int, threads: int, params: ctypes.Structure) -> None:
        """Launch a kernel on torch's current stream: `blocks` blocks of `threads`, with `params` by value.

        This neither allocates nor waits, so that a CUDA graph can capture it, provided that the kernel has
        run before: its first launch loads it.

        Raises:
            RuntimeError: an error of the driver, possibly of an earlier kernel, since kernels run
                asynchronously.
        """
        arguments = (ctypes.c_void_p * 1)(ctypes.addressof(params))
        with self._stream() as stream:
            function = self._functions.get(kernel) or self._function(kernel)
            shape = (blocks, 1, 1, threads, 1, 1)
            self._check("cuLaunchKernel", function, *shape, 0, ctypes.c_void_p(stream), arguments, None)

    def _function(self, kernel: str) -> ctypes.c_void_p:
        function = ctypes.c_void_p()
        self._check("cuModuleGetFunction", ctypes.byref(function), self._module, kernel.encode())
        self._functions[kernel] = function
        return function

    @contextmanager
    def _stream(self) -> Iterator[int]:
        """The device's current stream, with the device's context made current in the driver.

        A thread that has not called the CUDA runtime yet, such as one of autograd's, has no context.
        """
        with torch.cuda.device(self._device_index):
            self._check("cuCtxSetCurrent", self._context)
            yield torch.cuda.current_stream(self._device_index).cuda_stream

    def _check(self, function: str, *arguments: object) -> None:
        if code := getattr(self._driver, function)(*arguments):
            text = ctypes.c_char_p()
            self._driver.cuGetErrorString(code, ctypes.byref(text))
            raise RuntimeError(f"{function}: {(text.value or b'unknown error').decode()} ({code})")


@functools.cache
def cuda_module(device_index: int) -> CudaModule:
    """Build the kernels for a device, or find them in the cache, and load them.

    Raises:
        Unavailable: they cannot be built or loaded.
        RuntimeError: a CUDA graph is being captured, during which nothing can be loaded.
    """
    if torch.version.cuda is None:
        raise Unavailable("this torch is built without CUDA", "install a build of torch with CUDA")
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "The CUDA kernels cannot be loaded while a CUDA graph is captured; run the operation once before."
        )
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError as error:
        raise Unavailable(f"{_DRIVER} cannot be loaded ({error})", "install the NVIDIA driver") from error
    capability = torch.cuda.get_device_capability(device_index)
    architecture = architecture_for(capability, os.environ.get("TORCH_CUDA_ARCH_LIST"))
    file, compiler = build_kernels(architecture)
    try:
        return CudaModule(driver, device_index, file, compiler, architecture)
    except RuntimeError as error:
        raise Unavailable(
            f"the driver cannot load the kernels that {compiler} built for {architecture} ({error})",
            f"update the NVIDIA driver to one for CUDA {torch.version.cuda} or newer",
        ) from error


def build_kernels(architecture: str) -> tuple[Built, str]:
    """Build the kernels, or find them in the cache: the file, and the compiler's name.

    The compilers of this machine are tried in turn, and a warning names one that fails.

    Raises:
        Unavailable: no compiler succeeds.
    """
    compilers = [compiler for compiler in find_compilers() if compiler.supports(architecture)]
    failure = Unavailable(
        f"no CUDA compiler on this machine supports {architecture}",
        "install a newer CUDA toolkit, or list an older architecture with PTX: TORCH_CUDA_ARCH_LIST=9.0+PTX",
    )
    for compiler in compilers:
        try:
            return _built(compiler, architecture), compiler.name
        except Unavailable as error:
            failure = error
            if compiler is not compilers[-1]:
                log.warning("%s; trying %s instead.", error.reason, compilers[-1].name)
    raise failure


def _built(compiler: CudaCompiler, architecture: str) -> Built:
    key = {
        "sources": sources_digest("cuda"),
        "compiler": f"{compiler.name} {compiler.version}",
        "flags": shlex.join(FLAGS),
        "architecture": architecture,
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
    }

    def build(target: Path) -> None:
        if output := compiler.compile(architecture, target):
            log.debug("%s: %s", compiler.name, output)

    return built(f"cuda-{architecture}", key, ".bin", build)
