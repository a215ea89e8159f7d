"""The colours of the guide's figures: one for each meaning, the same on all pages.

They are those of the displays (`skimb.inspection`), which people with any kind of colour vision
tell apart, after Okabe and Ito (https://jfly.uni-koeln.de/color/).
"""

#: Classes, and what is known of them.
MAJORITY, MINORITY = "#0072B2", "#D55E00"

#: What is done without any method; the method that the page is about; and one it is compared with.
BASELINE, METHOD, OTHER_METHOD = "#6E6E6E", "#009E73", "#CC79A7"

#: What has gone wrong: a leak, or an interval that misses the truth.
WRONG = "#882255"
