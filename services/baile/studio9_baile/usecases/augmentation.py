"""The twelve augmentations as forms are filled in with them: Salsa's values, in Salsa's order."""

from typing import Any

DEFAULTS: tuple[dict[str, Any], ...] = (
    {"augmentationType": "ROTATION", "angles": [45, 90, 135, 180, 270], "resize": True, "bloatFactor": 1},
    {"augmentationType": "SHEARING", "angles": [15, 30], "resize": True, "bloatFactor": 1},
    {
        "augmentationType": "CROPPING",
        "cropAreaFractions": [0.25, 0.36, 0.49, 0.64],
        "cropsPerImage": 1,
        "resize": False,
        "bloatFactor": 1,
    },
    {"augmentationType": "BLURRING", "sigmas": [0.5, 1, 2, 4], "bloatFactor": 1},
    {"augmentationType": "NOISING", "noiseSignalRatios": [0.15, 0.3, 0.45, 0.6, 0.75], "bloatFactor": 1},
    {"augmentationType": "ZOOM_IN", "ratios": [1.2, 1.5, 1.75, 2, 2.5], "resize": True, "bloatFactor": 1},
    {"augmentationType": "ZOOM_OUT", "ratios": [0.2, 0.5, 0.33, 0.5, 0.7], "resize": True, "bloatFactor": 1},
    {
        "augmentationType": "OCCLUSION",
        "occAreaFractions": [0.05, 0.1, 0.25, 0.5, 0.65],
        "mode": "ZERO",
        "isSARAlbum": False,
        "targetWindowSize": 32,
        "bloatFactor": 1,
    },
    {
        "augmentationType": "SALT_PEPPER",
        "knockoutFractions": [0.05, 0.1, 0.2, 0.3],
        "pepperProbability": 0.5,
        "bloatFactor": 1,
    },
    {"augmentationType": "MIRRORING", "flipAxes": [0, 1, 2], "bloatFactor": 1},
    {
        "augmentationType": "TRANSLATION",
        "translateFractions": [0.1, 0.2, 0.3, 0.4],
        "mode": "CONSTANT",
        "resize": False,
        "bloatFactor": 4,
    },
    {"augmentationType": "PHOTO_DISTORT", "alphaMin": 0.5, "alphaMax": 1.5, "deltaMax": 18, "bloatFactor": 1},
)

AWS_REGIONS = (
    "af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
    "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ca-central-1", "ca-west-1",
    "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3",
    "il-central-1", "me-central-1", "me-south-1", "sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1",
    "us-gov-west-1", "us-west-1", "us-west-2",
)  # fmt: skip
