"""Joint models of an example and its class.

generative_classifier.py    GenerativeClassifier: p(y) p(x | y), one density per class
shared_trunk.py             SharedTrunk: p(y | x) and p(x) as two heads on one trunk
"""
