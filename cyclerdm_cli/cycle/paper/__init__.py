"""The authors' network (CycleRDM: Xue et al., arXiv 2412.14630), so that their checkpoints can be run.

One U-Net predicts the noise in all three stages (DDPM: Ho et al., NeurIPS 2020), each in ten DDIM steps from
Gaussian noise: thirty evaluations, 3,420 GMAC for a 256x256 picture. Attributes bear the names that the keys
of the checkpoints need. Normalisation and attention see the whole tensor, so a tile is not restored as
it would be inside the picture.
"""

from cyclerdm_cli.cycle.paper.configuration import PaperConfig
from cyclerdm_cli.cycle.paper.network import PaperNetwork
from cyclerdm_cli.cycle.paper.stages import PaperStages, noise_from
from cyclerdm_cli.cycle.paper.unet import SelfAttention

__all__ = ["PaperConfig", "PaperNetwork", "PaperStages", "SelfAttention", "noise_from"]
