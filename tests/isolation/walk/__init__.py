"""The hostile walk: every address of both hosts, found by reflection, each tried by those whose it is not.

`routes` finds the addresses, `ways` fills their parameters with another shop's ids, `fields` says what is sent, `scene`
makes the two shops and marks everything of the second, `watch` sees what came back and what has changed.
"""
