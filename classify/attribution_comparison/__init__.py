"""Attribution methods compared: with lesion masks, with the classifier itself, and with random weights."""
