"""Ways into other frameworks that need nothing of OpenMMLab; one file per framework."""
