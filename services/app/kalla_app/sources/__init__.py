"""Sources: tried before they are saved, and looked into through the coordinator.

secrets_kept    what was masked when it was shown gets its secrets back when it is saved
catalogue       saves, lists, tries and previews
"""
