"""The variants are the papers'."""

import pytest

from tnt_backbone import TNT
from tnt_backbone.variants import TNT_VARIANTS, get_variant

# A classifier's trainable parameters in millions, counted on the authors' code (and timm's for
# legacy). The paper's figure is 0.04 to 0.12 higher: it counts the authors' unused `outer_tokens`.
COUNTED = {
    ('ti', 'official', False): 6.076,
    ('s', 'official', False): 23.769,
    ('b', 'official', False): 65.429,
    ('s', 'official', True): 24.668,
    ('ti', 'legacy', False): 6.070,
    ('s', 'legacy', False): 23.755,
    ('b', 'legacy', False): 65.407,
}


@pytest.mark.parametrize(('arch', 'formulation', 'se'), COUNTED)
def test_number_of_parameters(arch, formulation, se):
    backbone = TNT(arch, formulation=formulation, se=se, out_type='cls_token')
    head = (backbone.embed_dims + 1) * 1000
    millions = (sum(p.numel() for p in backbone.parameters()) + head) / 1e6
    assert round(millions, 3) == COUNTED[arch, formulation, se]
    unused_tokens = 196 * backbone.embed_dims / 1e6
    if formulation == 'official' and not se:
        assert round(millions + unused_tokens, 1) == TNT_VARIANTS[arch].params_m


def test_names_and_dicts_mean_the_same():
    row = TNT_VARIANTS['ti']
    assert get_variant('TINY', TNT_VARIANTS) is row
    as_dict = {
        'depth': 12,
        'word_dims': 12,
        'word_heads': 2,
        'sentence_dims': 192,
        'sentence_heads': 3,
    }
    variant = get_variant(as_dict, TNT_VARIANTS)
    assert [getattr(variant, name) for name in as_dict] == [getattr(row, name) for name in as_dict]


@pytest.mark.parametrize(
    ('arch', 'error', 'message'),
    [
        ('xxl', ValueError, "choose one of 'ti', 's', 'b'"),
        (7, TypeError, 'must be a name or a dict'),
        ({'depth': 2}, ValueError, 'word_dims'),
        ({'depth': 2, 'widht': 3}, ValueError, r"unknown fields \['widht'\]"),
        (
            {'depth': 0, 'word_dims': 4, 'word_heads': 1, 'sentence_dims': 8, 'sentence_heads': 1},
            ValueError,
            r"arch\['depth'\]=0 must be a positive",
        ),
    ],
)
def test_bad_archs_are_refused(arch, error, message):
    with pytest.raises(error, match=message):
        get_variant(arch, TNT_VARIANTS)
