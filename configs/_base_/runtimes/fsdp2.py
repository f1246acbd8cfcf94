"""Parameters, gradients and the optimizer's state are spread over the processes, block by block.

For models that do not fit into one GPU with DDP. In one process it changes nothing. Mixed precision
is --amp, in bfloat16.
"""

model_wrapper_cfg = dict(type='FSDP2')
