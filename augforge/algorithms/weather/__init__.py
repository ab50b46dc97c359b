"""Weather and light as they would change a picture that was taken, given the depth of what it shows.

After *Robust-Depth* (Saunders et al., *Self-supervised Monocular Depth Estimation: Let's Talk About the Weather*, ICCV
2023), which made such copies of driving scenes. Each kind is a function on an image (h, w, 3) of uint8 and a depth (h,
w) in m; what is random in it is drawn before as plain JSON. At severity 0 every kind leaves every byte.
"""

from augforge.algorithms.weather.depth import FAR, NEAR, from_disparity, gradient, metres
from augforge.algorithms.weather.kinds import WEATHER, Kind

__all__ = ["FAR", "NEAR", "WEATHER", "Kind", "from_disparity", "gradient", "metres"]
