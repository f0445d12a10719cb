"""The architectures and heads of transfer learning, as data for the catalogue; imports neither torch nor timm."""

from typing import Any

from studio9_task.catalogue import (
    Architecture,
    FloatParameter,
    Head,
    IntParameter,
    ParameterDefinition,
    StringParameter,
    WhenValues,
)
from studio9_trainers.offered import common_parameters, installed, loop_parameters, mirror_parameter, scale_parameter

NAME = "transfer"
LICENCE = "Apache-2.0"
STACKED_AUTOENCODER = "STACKED_AUTOENCODER"
RFB = "VGG16_RFB"

BACKBONES = {
    "VGG16": ("VGG16 with batch norm", "vgg16_bn"),
    RFB: ("VGG16 with batch norm, for RFBNet", "vgg16_bn"),
    "SQUEEZENEXT": ("SqueezeNext (here MobileNetV3 small)", "mobilenetv3_small_100"),
    "SQUEEZENEXT_REDUCED": ("SqueezeNext reduced (here MobileNetV3 small, half as wide)", "mobilenetv3_small_050"),
    "RESNET18": ("ResNet-18", "resnet18"),
    "RESNET50": ("ResNet-50", "resnet50"),
    "MOBILENET_V3": ("MobileNetV3 large", "mobilenetv3_large_100"),
    "EFFICIENTNET_V2_S": ("EfficientNetV2 small", "tf_efficientnetv2_s"),
    "CONVNEXT_TINY": ("ConvNeXt tiny", "convnext_tiny"),
    "VIT_S": ("Vision transformer small", "vit_small_patch16_224"),
}
"""Id: (what people read, timm's name)."""

ARCHITECTURES = (STACKED_AUTOENCODER, *BACKBONES)
PYRAMIDS = tuple(one for one in ARCHITECTURES if one != "VIT_S")
"""Those whose maps differ in size, as detectors need."""

EXTRACTS = {"(15,22)": (4, 8), "(22,-1)": (8, 32)}
"""Of the original's layers: the strides of the two maps that boxes are found on first."""

CLASSIFIERS = {
    "FCN_1LAYER": ("One layer", 0),
    "FCN_2LAYER": ("Two layers", 1),
    "FCN_3LAYER": ("Three layers", 2),
}


def _own(package: str) -> dict[str, Any]:
    return {"framework": NAME, "package": package, "package_version": installed(package)}


_STACKED = Architecture(
    id=STACKED_AUTOENCODER,
    name="Stacked auto-encoder",
    description="Five convolutions; learns from a few hundred pictures",
    module="studio9_trainers.transfer.backbones",
    class_name="StackedEncoder",
    parameters=(
        IntParameter(name="width", description="Channels of the first map", defaults=(24,), min=4, max=256, step=1),
        IntParameter(name="latent", description="Channels of the last map", defaults=(128,), min=4, max=2048, step=1),
        FloatParameter(
            name="denoise", description="Noise on the pixels that it learns from", defaults=(0.0,), min=0.0, max=1.0
        ),
    ),
    **_own("torch"),
)


def architectures() -> tuple[Architecture, ...]:
    """All backbones."""
    of_timm = tuple(
        Architecture(id=key, name=name, module="timm.models", class_name=model, **_own("timm"))
        for key, (name, model) in BACKBONES.items()
    )
    return (_STACKED, *of_timm)


_HIDDEN = IntParameter(name="hidden", description="Width between layers", defaults=(256,), min=4, max=8192, step=1)
_LEARNING: tuple[ParameterDefinition, ...] = (
    FloatParameter(name="dropout", description="Part of the features left out", defaults=(0.1,), min=0.0, max=0.9),
    FloatParameter(
        name="label_smoothing",
        description="How much of a label's weight is shared",
        defaults=(0.0,),
        min=0.0,
        max=0.5,
    ),
    StringParameter(
        name="class_weights",
        description="balanced: rare labels count as much as frequent ones",
        options=("none", "balanced"),
        defaults=("none",),
    ),
)
_CLASSIFYING = (*common_parameters(epochs=20, batch_size=32, rate=0.002), *loop_parameters())
_VARYING = (mirror_parameter(), scale_parameter(0.1))
_DETECTING = (
    *common_parameters(epochs=25, batch_size=8, rate=0.001),
    *loop_parameters(clip_norm=5.0),
    *_VARYING,
    IntParameter(name="pyramid", description="Channels of the maps", options=(32, 64, 96, 128, 256), defaults=(96,)),
)
_COMPONENTS = IntParameter(
    name="n_components", description="Components kept; at most one a picture", defaults=(600,), min=1, max=3000, step=1
)
_CLOSED = tuple(one for one in common_parameters(epochs=1, batch_size=32) if one.name != "patience")


def heads() -> tuple[Head, ...]:
    """All heads."""
    layered = tuple(
        Head(
            id=key,
            name=name,
            consumer="classifier",
            architectures=ARCHITECTURES,
            module="studio9_trainers.transfer.heads",
            class_name="Layers",
            parameters=(*_CLASSIFYING, *((_HIDDEN,) if hidden else ()), *_LEARNING, *_VARYING),
            **_own("torch"),
        )
        for key, (name, hidden) in CLASSIFIERS.items()
    )
    return (
        *layered,
        Head(
            id="FREE_SCALE",
            name="Free scale",
            description="Takes pictures of any size; its maps show where a label is",
            consumer="classifier",
            architectures=ARCHITECTURES,
            module="studio9_trainers.transfer.heads",
            class_name="FreeScale",
            parameters=(*_CLASSIFYING, *_LEARNING, *_VARYING),
            **_own("torch"),
        ),
        Head(
            id="KPCA_MNL",
            name="Kernel PCA and logistic regression",
            description="Needs a trained feature extractor",
            consumer="classifier",
            neural=False,
            architectures=ARCHITECTURES,
            module="studio9_trainers.transfer.components",
            class_name="KernelComponents",
            parameters=(
                *_CLOSED,
                _COMPONENTS,
                StringParameter(
                    name="kernel",
                    description="How alike two pictures are",
                    options=("linear", "poly", "rbf", "sigmoid", "cosine"),
                    defaults=("poly",),
                ),
                IntParameter(
                    name="degree",
                    description="Of the polynomial",
                    defaults=(3,),
                    min=1,
                    max=20,
                    step=1,
                    conditions={"kernel": WhenValues(values=("poly",))},
                ),
            ),
            **_own("torch"),
        ),
        Head(
            id="RPCA_MNL",
            name="Randomised PCA and logistic regression",
            description="Needs a trained feature extractor",
            consumer="classifier",
            neural=False,
            architectures=ARCHITECTURES,
            module="studio9_trainers.transfer.components",
            class_name="Components",
            parameters=(*_CLOSED, _COMPONENTS),
            **_own("torch"),
        ),
        Head(
            id="RFBNET",
            name="RFBNet",
            consumer="detector",
            architectures=PYRAMIDS,
            module="studio9_trainers.transfer.detectors",
            class_name="Receptive",
            parameters=(
                *_DETECTING,
                StringParameter(
                    name="extract_from",
                    description="Maps that boxes are found on: strides 4 and 8, or 8 and the last",
                    options=tuple(EXTRACTS),
                    defaults=("(15,22)",),
                ),
                IntParameter(
                    name="top_k_selection",
                    description="Boxes a picture that are looked at",
                    defaults=(200,),
                    min=10,
                    max=3000,
                    step=1,
                ),
            ),
            **_own("torchvision"),
        ),
        Head(
            id="FCOS",
            name="FCOS",
            consumer="detector",
            architectures=PYRAMIDS,
            module="torchvision.models.detection",
            class_name="FCOS",
            parameters=_DETECTING,
            **_own("torchvision"),
        ),
        Head(
            id="FASTER_RCNN_FPN",
            name="Faster R-CNN",
            consumer="detector",
            architectures=PYRAMIDS,
            module="torchvision.models.detection",
            class_name="FasterRCNN",
            parameters=_DETECTING,
            **_own("torchvision"),
        ),
        Head(
            id="STACKED",
            name="Stacked decoder",
            consumer="decoder",
            architectures=ARCHITECTURES,
            module="studio9_trainers.transfer.backbones",
            class_name="Decoder",
            parameters=(*common_parameters(epochs=20, batch_size=16), *loop_parameters(), mirror_parameter()),
            **_own("torch"),
        ),
    )
