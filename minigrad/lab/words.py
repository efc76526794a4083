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
    "points": ("the batch x", "批数据 x"),
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


def speaker(words: Words, language: str) -> Callable[[str], str]:
    """A function from the name of a text to the text, in this language."""
    column = LANGUAGES.index(language)
    return lambda name: words[name][column]
