"""A network of your own: copy this file, rename the class, change its layers.

In a params file: ``models: [{model: nets/example.py:ExampleNet, image_size: 32}]``.
"""

from torch import Tensor, nn


class ExampleNet(nn.Module):
    """Images [batch, 3, side, side] go in; one number for each class (a logit) comes out."""

    def __init__(self, num_classes: int, width: int = 32) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Sequential:
            # A convolution looks for small patterns; BatchNorm keeps its numbers in range; ReLU drops
            # what is negative; pooling halves the side, so that the next block sees larger patterns.
            convolution = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))

        self.blocks = nn.Sequential(block(3, width), block(width, 2 * width), block(2 * width, 4 * width))
        self.pool = nn.AdaptiveAvgPool2d(1)  # any side becomes 1 x 1: the mean of each pattern
        self.head = nn.Linear(4 * width, num_classes)  # called head, it can be made anew for fine_tune

    def forward(self, images: Tensor) -> Tensor:
        patterns = self.pool(self.blocks(images)).flatten(1)  # [batch, 4 * width]
        return self.head(patterns)
