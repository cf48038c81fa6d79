"""Finds the salts of the golden networks: many are tried, the ones farthest from any kink are examined in full.

    python tools/golden/search_salt.py [FILE_NAME...] [--first 0] [--tries 400]

A ReLU input within rounding of zero, or two nearly equal values in a pooling window, make a gradient depend on the
order of additions; with the salts printed first no correct float32 implementation meets one in the first step.
"""

import argparse

import torch

import golden_fusion
import golden_gates
import golden_images
import golden_networks
from golden_networks import agreement

NETWORKS = golden_networks.NETWORKS | golden_images.NETWORKS | golden_fusion.NETWORKS | golden_gates.NETWORKS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="FILE_NAME", help="network files; default all")
    parser.add_argument("--first", type=int, default=0, help="first salt tried")
    parser.add_argument("--tries", type=int, default=400)
    parser.add_argument("--keep", type=int, default=6, help="salts examined over all steps")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.names or NETWORKS:
        build = NETWORKS[name][1]
        salts = [str(arguments.first + i) for i in range(arguments.tries)]
        margins = {salt: build(salt, torch.float32, steps=1).first_margin for salt in salts}
        for salt in sorted(margins, key=margins.get, reverse=True)[:arguments.keep]:
            exact, single = build(salt, torch.float64), build(salt, torch.float32)
            worst = ", ".join(f"{k} {v:.1e}" for k, v in agreement(exact.results, single.results).items())
            kinks = f"kink {exact.first_margin:.1e}, all steps {exact.margin:.1e}"
            print(f"{name} salt {salt}: {kinks}; {worst}", flush=True)


if __name__ == "__main__":
    main()
