"""What the pages say, in English and in Chinese, and how a bench asks for it."""

from collections.abc import Callable

LANGUAGES = ["English", "中文"]

Words = dict[str, tuple[str, str]]

TWENTY_LAYERS: Words = {
    "title": ("Twenty layers", "二十层网络"),
    "intro": (
        "A deep network on 8 x 8 pictures of digits. On the left: what each layer's activation "
        "receives, sorted by the zones of the sigmoid. On the right: the gradient that comes back "
        "to each layer. Predict what a slider will do before you move it.",
        "一个识别 8 x 8 手写数字的深层网络。左图：每一层激活函数的输入落在 sigmoid 的哪个区；"
        "右图：传回每一层的梯度有多大。移动滑块之前，先想一想会发生什么。",
    ),
    "depth": ("hidden layers", "隐藏层数"),
    "width": ("width", "每层宽度"),
    "activation": ("activation", "激活函数"),
    "scale": ("weights, as a multiple of Xavier's", "权重尺度（Xavier 的倍数）"),
    "shift": ("shift of the pre-activations", "预激活值的平移"),
    "normalization": ("normalisation", "归一化"),
    "lr": ("learning rate", "学习率"),
    "steps": ("training steps", "训练步数"),
    "zones_title": ("Pre-activations z by zone", "预激活值 z 的分布"),
    "gradient_title": ("Gradient of each layer", "各层的梯度"),
    "share": ("share of the values", "占比"),
    "layer": ("layer", "层"),
    "measured": ("measured", "实测"),
    "theory": ("theory", "理论"),
    "loss": ("Loss", "损失"),
    "accuracy": ("accuracy", "准确率"),
    "numbers": ("The numbers", "具体数值"),
    "verdict": ("What the doctor says", "诊断结果"),
    "try": (
        "## Try\n\n"
        "1. Twenty layers, no normalisation: the gradient shrinks by the same factor in every "
        "layer, although nearly every z is in the responsive zone. The theory's line says why: the "
        "slope of a sigmoid is at most 1/4.\n"
        "2. Move the shift to 8. Now the layers are saturated: a second reason.\n"
        "3. Find the scale of the weights at which the gradient survives without normalisation.\n"
        "4. Choose BatchNorm and train 200 steps. The measured points lie a little below the "
        "theory's line: it leaves out the two means that BatchNorm's backward pass takes away.",
        "## 试一试\n\n"
        "1. 二十层、不用归一化：几乎所有 z 都在响应区，梯度却每一层都缩小同样的倍数。"
        "原因在理论线里：sigmoid 的导数最大只有 1/4。\n"
        "2. 把平移调到 8：各层都进入饱和区，这是梯度消失的第二个原因。\n"
        "3. 不用归一化，找出能让梯度传到第一层的权重尺度。\n"
        "4. 选 BatchNorm，训练 200 步。实测点比理论线略低："
        "理论线没有计入批归一化反向传播中减去的两个均值项。",
    ),
}


ONE_BATCHNORM: Words = {
    "title": ("One BatchNorm", "一个 BatchNorm"),
    "intro": (
        "Six values of one channel. On the left: the values x, what normalisation makes of them, "
        "and the output y. On the right: the three terms of dx, and their sum.",
        "一个通道里的六个数值。左图：输入 x、归一化后的 x_hat 和输出 y。"
        "右图：dx 由三项组成，红点是它们的和。",
    ),
    "points": ("the batch x: move its points", "批数据 x：移动这些点"),
    "seeds": ("what comes back, dy", "传回来的梯度 dy"),
    "parameters": ("parameters", "参数"),
    "forward": ("Forward", "前向"),
    "backward": ("Backward", "反向"),
    "point": ("point", "第几个数据"),
    "direct": ("direct", "直接项"),
    "through_mu": ("through mu", "经过 mu"),
    "through_sigma": ("through sigma", "经过 sigma"),
    "sum": ("their sum, dx", "三项之和 dx"),
    "projection": ("the projection", "投影"),
    "try": (
        "## Try\n\n"
        "1. Move all six x by the same amount: y stays, and so does dx.\n"
        "2. Double all six x: y stays, and dx is halved.\n"
        "3. Make all six dy equal: dx is 0, as the term through mu takes all of it away.\n"
        "4. Move one x far out: sigma grows, and the others come together.\n"
        "5. Set gamma to sigma and beta to mu: y is x again.",
        "## 试一试\n\n"
        "1. 把六个 x 一起平移：y 不变，dx 也不变。\n"
        "2. 把六个 x 都乘以 2：y 不变，dx 减半。\n"
        "3. 让六个 dy 相等：dx 为 0，因为经过 mu 的那一项把它全部减掉了。\n"
        "4. 把一个 x 移到很远：sigma 变大，其余的点挤在一起。\n"
        "5. 让 gamma 等于 sigma、beta 等于 mu：y 又变回 x。",
    ),
}


TRAIN_EVAL: Words = {
    "title": ("Train and eval", "训练模式与评估模式"),
    "intro": (
        "Each batch is drawn from values with mean 3 and variance 4. In training, BatchNorm uses "
        "the batch's own statistics, and its running statistics follow them slowly. In evaluation "
        "it uses the running ones.",
        "每一批数据都取自均值为 3、方差为 4 的分布。训练时，BatchNorm 用这一批自己的统计量，"
        "同时让滑动平均慢慢跟上；评估时用的是滑动平均。",
    ),
    "batch_size": ("batch size", "批大小"),
    "batches": ("batches", "批数"),
    "batch": ("batch", "第几批"),
    "mean": ("Mean", "均值"),
    "var": ("Variance", "方差"),
    "each": ("of each batch", "每一批的"),
    "running": ("running", "滑动平均"),
    "goal": ("of all values", "总体的"),
    "left": ("What is left of the start", "初始值还剩下的比例"),
    "eval": ("The value 4 in eval mode becomes", "数值 4 在评估模式下变为"),
    "train": (
        "The same value in training mode, in three batches",
        "同一个数值在训练模式下、放在三个不同的批里，分别变为",
    ),
    "alone": ("A batch of one in training mode", "训练模式下只有一个样本的批"),
    "try": (
        "## Try\n\n"
        "1. Momentum 0.01 and 40 batches: the running statistics are still far behind, so eval "
        "mode gives another output than training did.\n"
        "2. Momentum 1: the running statistics are those of the last batch. They jump.\n"
        "3. Batch size 2: how far do the batches' variances scatter?\n"
        "4. Forget eval(): the answer for 4 depends on its neighbours in the batch.",
        "## 试一试\n\n"
        "1. momentum 取 0.01、40 批：滑动平均还差得很远，所以评估模式的输出和训练时不同。\n"
        "2. momentum 取 1：滑动平均就是最后一批的统计量，跳来跳去。\n"
        "3. 批大小取 2：各批的方差有多分散？\n"
        "4. 忘了调用 eval()：数值 4 的输出取决于同一批里还有谁。",
    ),
}

STEP_BY_STEP: Words = {
    "title": ("Backward, step by step", "反向传播，一步一步来"),
    "intro": (
        "Write an expression of w, x and b, with + - * / ** and sigmoid, tanh, relu, exp, log, "
        "sqrt, sin, cos. Then move the step: each shows one operation, its rule, what arrives and "
        "what is sent where.",
        "用 w、x、b 写一个式子，可以用 + - * / ** 和 sigmoid、tanh、relu、exp、log、sqrt、"
        "sin、cos。"
        "再移动步数滑块：每一步显示一个运算、它的求导规则、收到什么梯度、又把什么传给谁。",
    ),
    "expression": ("expression", "式子"),
    "step": ("step", "步数"),
    "value": ("Value", "值"),
    "try": (
        "## Try\n\n"
        "1. `x * x`: both paths lead to x, and their gradients add up.\n"
        "2. `sigmoid(10 * x)`: move x away from 0. Where does the gradient go?\n"
        "3. `sigmoid(sigmoid(sigmoid(w * x)))`: multiply the slopes on the way.",
        "## 试一试\n\n"
        "1. `x * x`：两条路都通向 x，它们的梯度相加。\n"
        "2. `sigmoid(10 * x)`：让 x 离开 0，梯度去哪儿了？\n"
        "3. `sigmoid(sigmoid(sigmoid(w * x)))`：把路上的导数乘起来看看。",
    ),
}

STATIC: Words = {
    "title": ("The lab of minigrad", "minigrad 实验室"),
    "all": ("All benches", "全部实验台"),
    "servers": (
        "These pages compute in your browser. minigrad itself lies beside them. Python (Pyodide), "
        "NumPy and marimo's part in Python do not: your browser fetches them from their own "
        "servers (cdn.jsdelivr.net, wasm.marimo.app). The first time this takes a while.",
        "这些网页在你的浏览器里计算，minigrad 就放在网页旁边。"
        "Python（Pyodide）、NumPy 和 marimo 的 Python 部分不在这里，"
        "浏览器要从它们各自的服务器（cdn.jsdelivr.net、wasm.marimo.app）下载，"
        "第一次打开要等一会儿。",
    ),
}


def speaker(words: Words, language: str) -> Callable[[str], str]:
    """A function from the name of a text to the text, in this language."""
    column = LANGUAGES.index(language)
    return lambda name: words[name][column]
