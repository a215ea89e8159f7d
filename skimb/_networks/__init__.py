"""Networks: architectures by name, pretrained backbones, and questions to a network."""
