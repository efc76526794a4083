"""Optimizer: which parameters are updated, with which options, and what is remembered of each.

An optimiser is one rule for one parameter (``update``), written over arrays; ``flat.py`` runs
it on many parameters at once, and everything else is here: groups of parameters with options of
their own, and a state that can be saved. Options are read from the group in each step, so changing
``optimizer.param_groups[0]["lr"]`` takes effect at once; that is how schedules work. A rate may be
a Tensor, too: rules then get the number that it holds at that step.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..backend import Array, is_array, on_device_of
from ..core import execute
from ..core.gradmode import enable_grad
from ..core.versions import mark_written
from ..events import tell
from ..nn.hooks import added
from ..nn.parameter import clear_gradients
from ..nn.state import all_or_nothing, fitted
from ..tensor import RemovableHandle, Tensor
from .flat import FlatParameters, can_flatten
from .rate import options_now, own_rate

Group = dict[str, Any]
StepHook = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]

# Options in PyTorch's state dicts that say how it computes, not what.
HOW_PYTORCH_COMPUTES = {"capturable", "differentiable", "foreach", "fused"}

# What PyTorch's OneCycleLR leaves in an optimiser. The schedule itself holds it here.
OF_PYTORCHS_SCHEDULES = {"max_lr", "min_lr", "base_momentum", "max_momentum"}

NOT_LOADED = {"params"} | HOW_PYTORCH_COMPUTES | OF_PYTORCHS_SCHEDULES


class Optimizer:
    """The base class of optimisers: subclasses write ``update`` and name their defaults.

    Args:
        params: Tensors, or dicts with Tensors under "params" and options of their own.
        defaults: the options of groups that do not name them.

    Raises:
        TypeError: something that is no Tensor.
        ValueError: no parameters, one of them twice, one that is not a leaf, or a bad option.
    """

    fixed: ClassVar[Mapping[str, Any]] = {}
    """PyTorch's options that are accepted with this value only."""

    required: ClassVar[tuple[str, ...]] = ()
    """What the state of a parameter always holds after its first step."""

    together: ClassVar[str | None] = None
    """The name of kernels that make this step for all parameters of a group. It also says that
    ``update`` treats every element alike, so that it may be given many parameters end to end."""

    def __init_subclass__(cls) -> None:
        """A new rule has no kernels, and nothing is known about it, unless it says so."""
        if "update" in cls.__dict__ and "together" not in cls.__dict__:
            cls.together = None

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.name = type(self).__name__
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.end_to_end: dict[int, FlatParameters] = {}  # by the number of the group
        self.before_step: list[StepHook] = []
        self.after_step: list[StepHook] = []
        if isinstance(params, Tensor):
            raise TypeError(f"{self.name}: params is one Tensor, expected a list of them: [tensor]")
        if not isinstance(params, Iterable) or hasattr(params, "parameters"):
            raise TypeError(
                f"{self.name}: params is a {type(params).__name__}, expected Tensors or groups of "
                f"them; pass model.parameters()"
            )
        groups = list(params)
        if not groups:
            raise ValueError(
                f"{self.name}: got no parameters (model.parameters() gives each once: a variable "
                f"that holds it is empty after its first use)"
            )
        if not isinstance(groups[0], Mapping):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Update further parameters too: ``{"params": [...], "lr": 0.01}``.

        Raises: as the class does; the optimiser has not changed then.
        """
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError(
                f"{self.name}: a parameter group is {type(param_group).__name__}, expected a dict "
                f"with 'params'"
            )
        params = param_group["params"]
        tensors = [params] if isinstance(params, Tensor) else list(params)
        options = {name: value for name, value in param_group.items() if name != "params"}
        unknown = sorted(set(options) - set(self.defaults) - {"initial_lr"})
        if unknown:
            raise TypeError(
                f"{self.name}: unknown options {unknown}, expected {sorted(self.defaults)}"
            )
        known = {tensor for group in self.param_groups for tensor in group["params"]}
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self.name}: parameter {i} is a {type(tensor).__name__}, expected a Tensor"
                )
            if not tensor.is_leaf:
                raise ValueError(
                    f"{self.name}: parameter {i}, of shape {tensor.shape}, is the result of a "
                    f"recorded operation ({tensor.grad_fn!r}), expected a leaf; use .detach()"
                )
            if tensor in known:
                raise ValueError(
                    f"{self.name}: parameter {i}, of shape {tensor.shape}, is given twice; it "
                    f"would be updated twice in each step"
                )
            known.add(tensor)
        group = {"params": tensors, **self.defaults, **options}
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: Group) -> None:
        """Raise a ValueError if an option of ``group`` makes no sense."""
        self.check_range(options_now(group), "lr")
        self.check_range(group, "weight_decay")

    def check_range(self, group: Group, name: str) -> None:
        """The option is a number and not negative; made a Python float, which unlike NumPy's
        float64 leaves float32 arrays float32."""
        value = group[name]
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise TypeError(f"{self.name}: {name} is a {type(value).__name__}, expected a number")
        if not 0 <= value < float("inf"):
            raise ValueError(f"{self.name}: {name} is {value}, expected at least 0")
        group[name] = float(value)

    # ------------------------------------------------------------------------------ steps

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place.

        Args:
            closure: computes the loss and its gradients anew; called first if given.

        Returns:
            What ``closure`` returned.
        """
        tell(
            "leaves_the_step",
            f"calls {self.name}.step, whose numbers change from step to step",
            "end the step with backward(), and call it after each replay",
        )
        for hook in list(self.before_step):
            hook(self, (closure,), {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for number, group in enumerate(self.param_groups):
            parameters = [p for p in group["params"] if p._grad is not None]
            options = options_now(group)
            if parameters and not (
                self.together and self._step_together(self.together, number, parameters, options)
            ):
                for parameter in parameters:
                    self._step_alone(parameter, options)
        for hook in list(self.after_step):
            hook(self, (closure,), {})
        return loss

    def register_step_pre_hook(self, hook: StepHook) -> RemovableHandle:
        """Have ``hook(optimizer, args, kwargs)`` called before each step. The handle's ``remove``
        ends it."""
        return added(self.before_step, hook)

    def register_step_post_hook(self, hook: StepHook) -> RemovableHandle:
        """Have ``hook(optimizer, args, kwargs)`` called after each step. The handle's ``remove``
        ends it."""
        return added(self.after_step, hook)

    def _step_alone(self, parameter: Tensor, group: Group) -> None:
        w, g = parameter.array, parameter._grad.array
        state = self.state.setdefault(parameter, {})
        if state:
            self._check_state(parameter, state)
        with on_device_of(w):
            self.apply_rule(w, g, state, group)
        mark_written(w, by=f"{self.name}.step")

    def _step_together(
        self, name: str, number: int, parameters: list[Tensor], group: Group
    ) -> bool:
        """Update the parameters of group ``number`` in one go; False if they are not alike, and
        nothing has changed then."""
        gradients = [p._grad.array for p in parameters]
        first = parameters[0].array
        on_host = type(first) is np.ndarray
        kernel = None if on_host or not execute.switch.kernels else execute.cupy_steps.get(name)
        if not on_host and kernel is None:
            return False
        states = [self.state.setdefault(p, {}) for p in parameters]
        together = self.end_to_end.get(number)
        if together is None or not together.still_holds(parameters, states):
            self.end_to_end.pop(number, None)
            if not can_flatten([p.array for p in parameters], gradients, states):
                return False
            together = self.end_to_end[number] = FlatParameters(parameters, states)
        weights = together.weights
        with on_device_of(first):
            if on_host:
                together.update(gradients, lambda w, g, state: self.apply_rule(w, g, state, group))
            else:
                state = dict(together.state)
                cache = together.pointer_cache
                if kernel is None or not kernel(weights, gradients, state, group, cache):
                    return False
                together.keep(state)
        mark_written(*weights, by=f"{self.name}.step")
        return True

    def __getstate__(self) -> dict[str, Any]:
        """For pickle and copy: without what holds views of the arrays in ``state``, and without
        hooks, which look at this optimiser."""
        return {**self.__dict__, "end_to_end": {}, "before_step": [], "after_step": []}

    def apply_rule(self, w: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        """``update``; of half precision in float32, as the CUDA kernels compute: eps and squares of
        gradients are 0 in float16."""
        if w.dtype != np.float16:
            self.update(w, g, state, group)
            return
        wide = {k: v.astype(np.float32) if is_array(v) else v for k, v in state.items()}
        weights = w.astype(np.float32)
        self.update(weights, g.astype(np.float32), wide, group)
        w[...] = weights
        for name, value in wide.items():
            if is_array(value) and name in state:
                state[name][...] = value
            else:
                state[name] = value.astype(np.float16) if is_array(value) else value

    def update(self, w: Array, g: Array, state: dict[str, Any], group: Group) -> None:
        """Change ``w`` in place, given its gradient ``g``; ``state`` is what the last step left.

        ``g`` must not be changed. No value may be read back from the arrays: on a GPU that would
        wait for all work to finish.
        """
        raise NotImplementedError(f"{self.name}: update is not written")

    def _check_state(self, parameter: Tensor, state: dict[str, Any]) -> None:
        """A model moved or converted after the first step leaves the optimiser's arrays behind."""
        w = parameter.data
        for name, array in state.items():
            if is_array(array) and array.shape != w.shape:
                raise ValueError(
                    f"{self.name}: {name} of a parameter has shape {array.shape}, but the "
                    f"parameter has shape {parameter.shape} now; make a new optimiser for it"
                )
            if is_array(array) and (array.dtype != w.dtype or type(array) is not type(w)):
                raise TypeError(
                    f"{self.name}: {name} of a parameter of shape {parameter.shape} is "
                    f"{array.dtype} ({type(array).__module__}), but the parameter is now "
                    f"{parameter.dtype} on {parameter.device}; move the model before the first "
                    f"step, or load the optimiser's state_dict again after moving"
                )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or, if not ``set_to_none``, make them zero)."""
        for group in self.param_groups:
            clear_gradients(group["params"], set_to_none)

    # ------------------------------------------------------------------------------ state

    def state_dict(self) -> dict[str, Any]:
        """Everything but the parameters themselves, which are named by number: "state", what is
        remembered of each, and "param_groups", the options. PyTorch's format.

        The Tensors share the optimiser's memory; see ``Module.state_dict``.
        """
        numbers = {p: i for i, p in enumerate(self._parameters())}
        state = {
            numbers[p]: {
                k: Tensor.from_array(v) if is_array(v) else v for k, v in remembered.items()
            }
            for p, remembered in self.state.items()
        }
        groups = [
            {**group, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where ``state_dict`` was taken, here or in PyTorch.

        Raises:
            ValueError: it belongs to other parameters or another optimiser; nothing has changed.
        """
        try:
            saved_groups, saved_state = state_dict["param_groups"], state_dict["state"]
        except (KeyError, TypeError):
            raise ValueError(
                f"{self.name}: the state has no 'state' and 'param_groups', as state_dict() gives"
            ) from None
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved_groups]
        if sizes != saved_sizes:
            raise ValueError(
                f"{self.name}: the state has groups of {saved_sizes} parameters, expected {sizes}"
            )
        groups = [
            self._loaded_group(group, saved)
            for group, saved in zip(self.param_groups, saved_groups, strict=True)
        ]
        numbers = [number for saved in saved_groups for number in saved["params"]]
        parameters = dict(zip(numbers, self._parameters(), strict=True))
        state = {}
        for number, remembered in saved_state.items():
            if number not in parameters:
                raise ValueError(f"{self.name}: the state names a parameter {number}, unknown here")
            state[parameters[number]] = self._loaded_state(number, parameters[number], remembered)

        def swap() -> None:
            self.param_groups[:] = groups
            self.state = state

        all_or_nothing(swap)

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _loaded_group(self, group: Group, saved: Mapping[str, Any]) -> Group:
        loaded = dict(group)
        for name, value in saved.items():
            if name == "lr":
                loaded[name] = own_rate(value)
            elif name in self.defaults or name == "initial_lr":
                loaded[name] = value
            elif name not in NOT_LOADED and value != self.fixed.get(name):
                raise ValueError(
                    f"{self.name}: the state was saved with {name}={value!r}, which is not offered"
                )
        self.check(loaded)
        return loaded

    def _loaded_state(
        self, number: Any, parameter: Tensor, remembered: Mapping[str, Any]
    ) -> dict[str, Any]:
        loaded: dict[str, Any] = {}
        for name, value in remembered.items():
            if name == "step":  # PyTorch keeps the number of steps as a Tensor
                loaded[name] = int(value)
                if loaded[name] < 0:
                    raise ValueError(
                        f"{self.name}: step of parameter {number} is {loaded[name]}, expected at "
                        f"least 0"
                    )
            elif value is not None:  # PyTorch's momentum_buffer where momentum is 0
                try:
                    loaded[name] = fitted(value, parameter)
                except (TypeError, ValueError, RuntimeError) as error:
                    raise ValueError(f"{self.name}: {name} of parameter {number} {error}") from None
        missing = [name for name in self.required if name not in loaded]
        if loaded and missing:
            raise ValueError(
                f"{self.name}: the state of parameter {number} lacks {missing}; it has "
                f"{sorted(loaded)}"
            )
        return loaded

    def __repr__(self) -> str:
        groups = [
            f"  group {i}: {len(group['params'])} parameters, "
            + ", ".join(f"{k}={v}" for k, v in group.items() if k != "params")
            for i, group in enumerate(self.param_groups)
        ]
        return "\n".join([f"{self.name}(", *groups, ")"])
